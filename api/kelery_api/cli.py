"""`kelery api`."""

from __future__ import annotations

import logging
import os
import sys

import click

from kelery.errors import KeleryError

logger = logging.getLogger("kelery.api")


@click.command()
def api() -> None:
    """Run the gateway: runs over HTTP, the same ones as those of kubectl.

    The environment sets everything: KELERY_REDIS_URL (or REDIS_URL), KELERY_API_ADDR (127.0.0.1:8000),
    KELERY_API_METRICS_ADDR (a second listener for /livez, /readyz and /metrics), KELERY_AUTH (kubernetes or
    none), KELERY_AUTH_NONE_ANYWHERE, KELERY_API_NAMESPACE, KELERY_START_TASK and KELERY_START_KEY (for
    /start), KELERY_API_RETAIN_SECONDS, KELERY_DEFAULT_QUEUE, KELERY_LOG_FORMAT (json or text).

    The cluster that says who may do what is that of KUBECONFIG; without it that of the pod it runs in, else
    of ~/.kube/config.
    """
    # Imported late: `kelery --help` must not pay for FastAPI.
    from kelery.telemetry import logs
    from kelery_api.server import serve
    from kelery_api.settings import api_settings

    settings = api_settings(os.environ)
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
