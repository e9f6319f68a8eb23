"""/livez, /readyz, /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import needs_path, public
from kelery_api.gateway import gateway_of
from kelery_api.routes import health_pages

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.head("/livez", include_in_schema=False)
@router.get("/livez", response_class=PlainTextResponse, response_description="It runs.")
@public
async def get_livez() -> Response:
    """Whether the gateway runs."""
    return health_pages.livez()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    response_description="It can serve.",
    responses={
        503: {
            "description": "It cannot; the text says why.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
@public
async def get_readyz(request: Request) -> Response:
    """Whether the gateway can serve: the ledger answers."""
    return health_pages.readyz(gateway_of(request))


@router.get("/metrics", response_class=PlainTextResponse, response_description="Prometheus's text format.")
@needs_path("get", "/metrics")
async def get_metrics(request: Request) -> Response:
    """The gateway's metrics, for Prometheus."""
    return await health_pages.metrics_page(gateway_of(request))
