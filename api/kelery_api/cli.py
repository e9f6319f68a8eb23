"""The command `kelery api`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from kelery.errors import KeleryError
from kelery.options import Command
from kelery_api.settings import OPTIONS, api_settings

logger = logging.getLogger("kelery.api")
CLUSTER = "The cluster that authorizes requests. If unset: the pod's service account, then `~/.kube/config`."


@click.command(cls=Command, settings=OPTIONS, environment={"KUBECONFIG": CLUSTER})
def api(**values: Any) -> None:
    """Run the gateway, the REST API of Kelery."""
    # Imported late, so that `kelery api --help` does not load FastAPI.
    from kelery.telemetry import logs
    from kelery_api.server import serve

    settings = api_settings(values)
    logs.set_up(settings.log_format)
    try:
        status = serve(settings)
    except KeleryError:
        raise
    except Exception:
        # Logged, because a log collector does not keep a bare traceback together.
        logger.critical("the gateway failed and exits with status 1; restart it", exc_info=True)
        status = 1
    sys.exit(status)
