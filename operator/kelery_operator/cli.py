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
CLUSTER = "The cluster. Without it: the pod's service account, then `~/.kube/config`."
#: kopf tells of its handlers' every success, which nobody needs.
_NOISY = ("kopf.objects", "kopf.activities", "aiohttp.access", "kopf._core.engines.activities")


@click.command(cls=Command, settings=OPTIONS, environment={"KUBECONFIG": CLUSTER})
def operator(**values: Any) -> None:
    """Run the operator: TaskRuns become runs, and their progress becomes status."""
    # Imported late: `kelery operator --help` must not pay for kopf.
    import uvloop

    from kelery.kube.login import Login, load_credentials
    from kelery.telemetry import logs
    from kelery_operator.app import Operator

    settings = operator_settings(values)
    logs.set_up(settings.log_format, only_warnings_of=_NOISY)
    login = Login(functools.partial(load_credentials, os.environ))
    # Before the event loop, for it may run a plug-in; and what is wrong with it is said at once.
    login.credentials()

    async def serve() -> None:
        await Operator(settings, login=login).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except KeleryError:
        raise
    except Exception:
        # Said as a log line too: whoever reads the logs of a restarted pod reads no traceback on its own.
        logger.critical("the operator ends; it is meant to be started again", exc_info=True)
        sys.exit(1)
