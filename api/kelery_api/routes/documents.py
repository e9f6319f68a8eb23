"""/openapi.json, and /docs, which shows it in a browser."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse

from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import public
from kelery_api.http.responses import json_response
from kelery_api.openapi.docs_page import DOCS_PAGE

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/openapi.json")
@public
async def get_openapi_document(request: Request) -> Response:
    """The OpenAPI document."""
    return json_response(request.app.openapi())


@router.get("/docs")
@public
async def get_docs() -> Response:
    """Swagger UI. The page loads its scripts from a CDN."""
    return HTMLResponse(DOCS_PAGE)
