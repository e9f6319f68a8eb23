"""`/v1/namespaces/{namespace}/keys`: concurrency keys in use, with their holders and waiters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from kelery.taskrun.spec import KEY_FORM
from kelery_api import models
from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import needs
from kelery_api.gateway import gateway_of
from kelery_api.http.problems import Kind
from kelery_api.http.responses import json_response
from kelery_api.openapi.declarations import problems
from kelery_api.ops import keys
from kelery_api.routes.parameters import KeyContinue, Namespace, PageSize
from kelery_api.runs import rendering

router = APIRouter(prefix="/v1/namespaces/{namespace}/keys", tags=["keys"], route_class=GuardedRoute)

Key = Annotated[
    str,
    Path(
        description="A concurrency key. Slashes need no escape.",
        examples=["report/7"],
        max_length=253,
        pattern=KEY_FORM,
    ),
]
WaitersShown = Annotated[
    int, Query(alias="waiters", ge=0, le=1000, description="The maximum number of waiters to show.")
]


@router.get("", response_model=models.KeyList, response_description="A page of keys, sorted by name.")
@needs("list")
async def list_keys(
    request: Request, namespace: Namespace, page_size: PageSize = 100, next_page: KeyContinue = None
) -> Response:
    """List the concurrency keys that have holders or waiters."""
    items, behind = await keys.keys_page(
        gateway_of(request).ledger, namespace, after=next_page or "", limit=page_size
    )
    listed: models.KeyList = {"items": items, "metadata": rendering.list_metadata(behind)}
    return json_response(listed)


@router.get(
    "/{key:path}",
    response_model=models.Key,
    response_description="The key with its holders and waiters.",
    # For a path that contains a line break.
    responses=problems(Kind.NOT_FOUND),
)
@needs("list")
async def get_key(request: Request, namespace: Namespace, key: Key, waiters: WaitersShown = 100) -> Response:
    """Get a concurrency key: its limit, its holders, and its waiters in the order of their admission."""
    ledger = gateway_of(request).ledger
    return json_response(await keys.key_details(ledger, namespace, key, waiters_shown=waiters))
