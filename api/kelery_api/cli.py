"""`kelery api`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from kelery.errors import KeleryError
from kelery.options import Command
from kelery_api.settings import OPTIONS, api_settings

logger = logging.getLogger("kelery.api")
CLUSTER = (
    "The cluster that says who may do what. Without it: the pod's service account, then `~/.kube/config`."
)


@click.command(cls=Command, settings=OPTIONS, environment={"KUBECONFIG": CLUSTER})
def api(**values: Any) -> None:
    """Run the gateway: runs over HTTP, the same ones as those of kubectl."""
    # Imported late: `kelery api --help` must not pay for FastAPI.
    from kelery.telemetry import logs
    from kelery_api.server import serve

    settings = api_settings(values)
    logs.set_up(settings.log_format)
    try:
        status = serve(settings)
    except KeleryError:
        raise
    except Exception:
        # Said as a log line too: whoever reads the logs of a restarted pod reads no traceback on its own.
        logger.critical("the gateway ends; it is meant to be started again", exc_info=True)
        status = 1
    sys.exit(status)
