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
@router.get("/livez", response_class=PlainTextResponse, response_description="The gateway runs.")
@public
async def get_livez() -> Response:
    """Report that the gateway runs."""
    return health_pages.livez()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_class=PlainTextResponse,
    response_description="The gateway is ready.",
    responses={
        503: {
            "description": "The gateway is not ready. The text gives the reason.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
@public
async def get_readyz(request: Request) -> Response:
    """Report whether the gateway is ready: the ledger responds, and its event stream is followed."""
    return health_pages.readyz(gateway_of(request))


@router.get("/metrics", response_class=PlainTextResponse, response_description="Prometheus's text format.")
@needs_path("get", "/metrics")
async def get_metrics(request: Request) -> Response:
    """Get the gateway's metrics for Prometheus."""
    return await health_pages.metrics_page(gateway_of(request))
