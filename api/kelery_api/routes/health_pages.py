"""/livez, /readyz and /metrics as plain text; on the gateway's own port, and on one for kubelet, Prometheus
and what scales workers, if that is asked for. The latter also has /queues/<name>, as JSON.

Alive is who answers: the ledger being away is no reason to be killed.
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
    """Answers while the loop runs."""
    return PlainTextResponse("ok\n")


def readyz(gateway: Gateway) -> Response:
    """200, or 503 with the reason."""
    why_not = gateway.readiness.why_not()
    return PlainTextResponse(f"{why_not or 'ok'}\n", status_code=503 if why_not else 200)


async def metrics_page(gateway: Gateway) -> Response:
    """For Prometheus; without figures of queues while the ledger is away: old ones would pass for new."""
    try:
        stats = await gateway.queue_stats.every()
    except LedgerError:
        stats = []
    gateway.metrics.queues.show(stats)
    return Response(gateway.metrics.text(), media_type=metrics.MEDIA_TYPE)


async def queue_page(gateway: Gateway, queue: str) -> Response:
    """For what scales a queue's workers, such as KEDA's metrics-api trigger: `load` is what it looks at."""
    if not queue:
        return PlainTextResponse("name a queue: /queues/celery\n", status_code=404)
    try:
        stats = await gateway.queue_stats.of(queue)
    except LedgerError:
        # Not zero: nobody must take workers away because Redis does not answer.
        return PlainTextResponse("the ledger does not answer\n", status_code=503)
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
    """The app of the second listener: it serves these four of the gateway that `main` has open."""

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
        # A queue's name may have slashes.
        Route("/queues/{queue:path}", _queue),
    ]
    return Starlette(routes=routes)
