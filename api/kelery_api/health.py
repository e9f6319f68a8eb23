"""/livez, /readyz and /metrics as plain text; on the gateway's own port, and on one for kubelet and
Prometheus alone if that is asked for.

Alive is who answers: the ledger being away is no reason to be killed.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kelery_api import metrics
from kelery_api.gateway import Gateway


def livez() -> Response:
    """Answers while the loop runs."""
    return PlainTextResponse("ok\n")


def readyz(gateway: Gateway) -> Response:
    """200, or 503 with the reason."""
    why_not = gateway.readiness.why_not()
    return PlainTextResponse(f"{why_not or 'ok'}\n", status_code=503 if why_not else 200)


def metrics_page(gateway: Gateway) -> Response:
    """For Prometheus."""
    return Response(gateway.metrics.text(), media_type=metrics.MEDIA_TYPE)


def metrics_app(main: Starlette) -> Starlette:
    """The app of the second listener: it serves these three of the gateway that `main` has open."""

    async def _livez(_: Request) -> Response:
        return livez()

    async def _readyz(_: Request) -> Response:
        return readyz(main.state.gateway)

    async def _metrics(_: Request) -> Response:
        return metrics_page(main.state.gateway)

    routes = [Route("/livez", _livez), Route("/readyz", _readyz), Route("/metrics", _metrics)]
    return Starlette(routes=routes)
