"""Deny by default, by construction: the routers' `route_class`, and a check of the finished app.

A route whose endpoint has no rule cannot be made, so the import of its module fails. The gate is passed
before FastAPI looks at query, headers or body: who may not do a thing learns nothing about how to do it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from kelery.settings import NAMESPACE_NAME
from kelery_api.access.authorizer import Authorizer
from kelery_api.access.requester import Requester
from kelery_api.access.rules import Rule, rule_of
from kelery_api.http import unknown_parameters
from kelery_api.http.problems import Kind, Problem
from kelery_api.models import FieldProblem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class MissingRule(TypeError):
    """A route says not who may use it."""


class GuardedRoute(APIRoute):
    """A route that opens for those whom its rule names; puts the `Requester` at `request.state.requester`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.rule = _rule(path, endpoint=endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        handle, rule = super().get_route_handler(), self.rule
        known = tuple(parameter.alias for parameter in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            if rule.verb is not None:
                await _admit(request, rule=rule)
            unknown_parameters.refuse_unknown_parameters(request, known=known)
            return await handle(request)

        return guarded


def requester_of(request: Request) -> Requester:
    """Who asks; only a route that is not public knows."""
    requester = request.state.requester
    assert isinstance(requester, Requester)
    return requester


def refuse_unguarded(app: FastAPI, *, public_paths: Collection[str] = ()) -> None:
    """Raise `MissingRule` if a route, mount or socket of the app passes no gate, but for these paths."""
    for context in iter_route_contexts(app.routes):
        if not isinstance(context.original_route, GuardedRoute) and context.path not in public_paths:
            kind = type(context.original_route).__name__
            raise MissingRule(f"{context.path or context.original_route} is a {kind}, which passes no gate")


def _rule(path: str, *, endpoint: Callable[..., Any]) -> Rule:
    rule = rule_of(endpoint)
    if rule is None:
        name = getattr(endpoint, "__qualname__", repr(endpoint))
        raise MissingRule(
            f"{name} at {path} says not who may use it: put @needs(...), @needs_path(...) or @public under"
            " its route"
        )
    return rule


async def _admit(request: Request, *, rule: Rule) -> None:
    gateway = request.app.state.gateway
    authorizer: Authorizer = gateway.authorizer
    # Two headers are as good as none: their sum is no token.
    sent = request.headers.getlist("authorization")
    requester = await authorizer.identify(", ".join(sent) if sent else None)
    # Known from here on, also to the log line of a request that is refused.
    request.state.requester = requester
    permission = rule.permission(_namespace(request, default=gateway.settings.namespace))
    if permission is not None:
        await authorizer.require(requester, permission)


def _namespace(request: Request, *, default: str) -> str:
    """The namespace that the request is about; what cannot be one is never asked about."""
    namespace: str = request.path_params.get("namespace", default)
    if not NAMESPACE_NAME.fullmatch(namespace):
        rule = "lower-case letters, digits and -, at most 63"
        raise Problem(
            Kind.INVALID_INPUT,
            "the URL names a namespace that cannot exist",
            errors=[FieldProblem(parameter="namespace", detail=f"must be the name of a namespace: {rule}")],
        )
    return namespace
