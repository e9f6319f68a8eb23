"""Deny by default: routes without a rule, the permission of a rule, and that it is checked first."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse

from kelery_api.access.authorizer import OpenAuthorizer
from kelery_api.access.guarded_route import GuardedRoute, MissingRule, refuse_unguarded, requester_of
from kelery_api.access.permission import AnyPermission, PathPermission, Permission
from kelery_api.access.requester import Requester
from kelery_api.access.rules import needs, needs_path, public
from kelery_api.http.problems import Kind, Problem


class Authorizer(OpenAuthorizer):
    """Records its calls. It accepts only the header `Bearer in`."""

    def __init__(self) -> None:
        self.asked: list[AnyPermission] = []
        self.sent: list[str | None] = []

    async def identify(self, authorization: str | None) -> Requester:
        self.sent.append(authorization)
        if authorization != "Bearer in":
            raise Problem(Kind.UNAUTHENTICATED, "no")
        return Requester(name="alice")

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        assert requester.name == "alice"
        self.asked.append(permission)


def new_app(*routers: APIRouter) -> tuple[FastAPI, Authorizer]:
    authorizer = Authorizer()
    app = FastAPI(openapi_url=None)
    app.state.gateway = SimpleNamespace(authorizer=authorizer, settings=SimpleNamespace(namespace="default"))
    for router in routers:
        app.include_router(router)

    async def problem(request: Request, error: Exception) -> PlainTextResponse:
        assert isinstance(error, Problem)
        return PlainTextResponse(error.kind.slug, status_code=error.kind.status)

    app.add_exception_handler(Problem, problem)
    return app, authorizer


def status_of(
    app: FastAPI,
    *,
    path: str,
    headers: tuple[str, ...] = ("Bearer in",),
    query: str = "",
    method: str = "GET",
) -> int:
    """The status of the response to a request whose body is not JSON."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"not json", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"authorization", value.encode()) for value in headers],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


def new_router(**options: Any) -> APIRouter:
    return APIRouter(route_class=GuardedRoute, **options)


def test_an_endpoint_without_a_rule_cannot_become_a_route() -> None:
    router = new_router()

    async def forgotten() -> None:
        return None

    with pytest.raises(MissingRule, match=r"forgotten at /forgotten has no authorization rule"):
        router.get("/forgotten")(forgotten)
    assert router.routes == []


def test_a_rule_above_the_route_decorator_is_rejected() -> None:
    router = new_router()
    with pytest.raises(MissingRule):

        @needs("list")
        @router.get("/late")
        async def late() -> None:
            return None


def test_two_rules_on_one_endpoint_are_rejected() -> None:
    with pytest.raises(TypeError, match="already has a rule"):

        @needs("list")
        @public
        async def torn() -> None:
            return None


def rules() -> APIRouter:
    router = new_router()

    @router.get("/public")
    @public
    async def is_public() -> str:
        return "ok"

    @router.get("/namespaces/{namespace}/taskruns")
    @needs("list")
    async def listed(request: Request, limit: int = 1) -> str:
        return requester_of(request).name

    @router.post("/namespaces/{namespace}/taskruns")
    @needs("create")
    async def created(body: dict[str, int]) -> str:
        return "ok"

    @router.get("/queues")
    @needs("list", everywhere=True)
    async def queues() -> str:
        return "ok"

    @router.get("/start")
    @needs("create")
    async def start() -> str:
        return "ok"

    @router.get("/metrics")
    @needs_path("get", "/metrics")
    async def metrics() -> str:
        return "ok"

    return router


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/namespaces/shop/taskruns", Permission(verb="list", namespace="shop")),
        ("/queues", Permission(verb="list", namespace="")),
        ("/start", Permission(verb="create", namespace="default")),
        ("/metrics", PathPermission(verb="get", path="/metrics")),
    ],
)
def test_a_rule_checks_its_permission(path: str, asked: AnyPermission) -> None:
    app, authorizer = new_app(rules())
    assert status_of(app, path=path) == 200
    assert authorizer.asked == [asked]


def test_a_router_with_a_prefix_is_guarded_too() -> None:
    outer = new_router(prefix="/v1")
    outer.include_router(rules())
    app, authorizer = new_app(outer)
    assert status_of(app, path="/v1/namespaces/shop/taskruns") == 200
    assert status_of(app, path="/v1/namespaces/shop/taskruns", headers=()) == 401
    assert authorizer.asked == [Permission(verb="list", namespace="shop")]


def test_a_public_route_makes_no_review() -> None:
    app, authorizer = new_app(rules())
    assert status_of(app, path="/public", headers=()) == 200
    assert authorizer.sent == []


@pytest.mark.parametrize(
    "headers", [(), ("Bearer out",), ("Bearer in", "Bearer in"), ("Bearer in", "Bearer x")]
)
def test_a_request_without_exactly_one_valid_token_is_rejected(headers: tuple[str, ...]) -> None:
    app, authorizer = new_app(rules())
    assert status_of(app, path="/start", headers=headers) == 401
    assert authorizer.asked == []


@pytest.mark.parametrize(("method", "query"), [("POST", ""), ("GET", "limit=no-number")])
def test_a_denied_request_learns_nothing_about_body_or_query(method: str, query: str) -> None:
    app, _ = new_app(rules())
    path = "/namespaces/shop/taskruns"
    assert status_of(app, path=path, method=method, query=query, headers=()) == 401
    assert status_of(app, path=path, method=method, query=query) == 422


@pytest.mark.parametrize("namespace", ["Shop", "-shop", "a" * 64, "shop.eu", "sh op", "*", "шоп"])
def test_an_invalid_namespace_is_rejected_without_a_review(namespace: str) -> None:
    app, authorizer = new_app(rules())
    path = f"/namespaces/{namespace}/taskruns"
    assert status_of(app, path=path, headers=()) == 401
    assert status_of(app, path=path) == 422
    assert authorizer.asked == []


def test_an_app_of_guarded_routes_is_accepted() -> None:
    outer = new_router(prefix="/v1")
    outer.include_router(rules())
    app, _ = new_app(rules(), outer)
    refuse_unguarded(app)


def test_an_app_with_an_unguarded_route_is_rejected_except_for_listed_paths() -> None:
    app, _ = new_app(rules())
    app.get("/open")(lambda: None)
    with pytest.raises(MissingRule, match="/open is a APIRoute"):
        refuse_unguarded(app)
    refuse_unguarded(app, public_paths=["/open"])


def test_mounts_included_routers_and_sockets_are_checked_too() -> None:
    mounted, _ = new_app()
    mounted.mount("/under", PlainTextResponse("x"))
    plain = APIRouter(prefix="/plain")
    plain.get("/x")(lambda: None)
    included, _ = new_app(plain)
    socketed, _ = new_app()
    socketed.add_api_websocket_route("/socket", lambda: None)
    for app, path in ((mounted, "/under"), (included, "/plain/x"), (socketed, "/socket")):
        with pytest.raises(MissingRule, match=path):
            refuse_unguarded(app)
