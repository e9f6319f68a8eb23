"""/livez, /readyz and /metrics as plain text, on the main port and on the optional metrics port. The metrics
port, for kubelet, Prometheus and autoscalers, also has /queues/<name> as JSON.

/livez does not depend on the ledger: an outage of Redis is no reason to kill the gateway.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kelery.errors import LedgerError
from kelery_api.gateway import Gateway
from kelery_api.http.responses import json_response
from kelery_api.ops import metrics


def livez() -> Response:
    """200 while the event loop runs."""
    return PlainTextResponse("ok\n")


def readyz(gateway: Gateway) -> Response:
    """200, or 503 with the reason."""
    why_not = gateway.readiness.why_not()
    return PlainTextResponse(f"{why_not or 'ok'}\n", status_code=503 if why_not else 200)


async def metrics_page(gateway: Gateway) -> Response:
    """Metrics for Prometheus. While the ledger is unavailable, queues are omitted, not stale."""
    try:
        stats = await gateway.queue_stats.every()
    except LedgerError:
        stats = []
    gateway.metrics.queues.show(stats)
    return Response(gateway.metrics.text(), media_type=metrics.MEDIA_TYPE)


async def queue_page(gateway: Gateway, queue: str) -> Response:
    """The load of a queue, for autoscalers such as KEDA's metrics-api trigger, which reads `load`."""
    if not queue:
        return PlainTextResponse(
            "the path names no queue; use /queues/NAME, such as /queues/celery\n", status_code=404
        )
    try:
        stats = await gateway.queue_stats.of(queue)
    except LedgerError:
        # Not zero: an outage of Redis must not scale workers down.
        return PlainTextResponse("the ledger (Redis) does not respond\n", status_code=503)
    return json_response(
        {
            "queue": stats.queue,
            "queued": stats.queued,
            "running": stats.running,
            "workers": stats.workers,
            "load": stats.load,
        }
    )


def metrics_app(main: Starlette) -> Starlette:
    """The app of the metrics port. It serves these four paths for the gateway of `main`."""

    async def _livez(_: Request) -> Response:
        return livez()

    async def _readyz(_: Request) -> Response:
        return readyz(main.state.gateway)

    async def _metrics(_: Request) -> Response:
        return await metrics_page(main.state.gateway)

    async def _queue(request: Request) -> Response:
        return await queue_page(main.state.gateway, request.path_params["queue"])

    routes = [
        Route("/livez", _livez),
        Route("/readyz", _readyz),
        Route("/metrics", _metrics),
        # The name of a queue can contain slashes.
        Route("/queues/{queue:path}", _queue),
    ]
    return Starlette(routes=routes)
