"""`kelery operator`."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys

import click

from kelery.errors import KeleryError

logger = logging.getLogger(__name__)


@click.command()
def operator() -> None:
    """Run the operator: TaskRuns become runs, and their progress becomes status.

    The environment sets everything: KELERY_REDIS_URL (or REDIS_URL), KELERY_NAMESPACES, KELERY_CLUSTER_ID,
    KELERY_DEFAULT_QUEUE (for runs that name none), KELERY_DEFAULT_TTL_SECONDS, KELERY_OPERATOR_HEALTH_ADDR,
    KELERY_LOG_FORMAT (json or text).

    The cluster is that of KUBECONFIG; without it that of the pod it runs in, else of ~/.kube/config.
    """
    # Imported late: `kelery --help` must not pay for kopf.
    import uvloop

    from kelery.kube.login import Login, load_credentials
    from kelery_operator import logs
    from kelery_operator.app import Operator
    from kelery_operator.settings import operator_settings

    settings = operator_settings(os.environ)
    logs.set_up(settings.log_format)
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
