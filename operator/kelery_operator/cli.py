"""`kelery operator`."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from typing import Any

import click

from kelery.errors import KeleryError
from kelery.options import Command
from kelery_operator.settings import OPTIONS, operator_settings

logger = logging.getLogger("kelery.operator")
CLUSTER = "The kubeconfig of the cluster. Default: the pod's service account, then `~/.kube/config`."
#: kopf logs each success of its handlers.
_NOISY = ("kopf.objects", "kopf.activities", "aiohttp.access", "kopf._core.engines.activities")


@click.command(cls=Command, settings=OPTIONS, environment={"KUBECONFIG": CLUSTER})
def operator(**values: Any) -> None:
    """Run the operator: it submits TaskRuns to the ledger and writes their status."""
    # Imported late, so that `kelery operator --help` does not load kopf.
    import uvloop

    from kelery.kube.login import Login, load_credentials
    from kelery.telemetry import logs
    from kelery_operator.app import Operator

    settings = operator_settings(values)
    logs.set_up(settings.log_format, only_warnings_of=_NOISY)
    login = Login(functools.partial(load_credentials, os.environ))
    # Before the event loop starts: it may run a credential plug-in, and a failure shows at once.
    login.credentials()

    async def serve() -> None:
        await Operator(settings, login=login).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except KeleryError:
        raise
    except Exception:
        # As a log line, so that it is found in the logs of a restarted pod.
        logger.critical("unexpected error; the operator exits and must be restarted", exc_info=True)
        sys.exit(1)
