"""Deny by default: the routers' `route_class`, and a check of the finished app.

A route whose endpoint has no rule cannot be created, so the import of its module fails. The check runs before
FastAPI reads query, headers or body, so a caller without permission learns nothing about the endpoint.
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
    """A route has no authorization rule."""


class GuardedRoute(APIRoute):
    """A route that enforces its rule. It stores the `Requester` in `request.state.requester`."""

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
    """The user of the request. Only routes that are not public know them."""
    requester = request.state.requester
    assert isinstance(requester, Requester)
    return requester


def refuse_unguarded(app: FastAPI, *, public_paths: Collection[str] = ()) -> None:
    """Raise `MissingRule` if a route, mount or socket of the app is not guarded, except for these paths."""
    for context in iter_route_contexts(app.routes):
        if not isinstance(context.original_route, GuardedRoute) and context.path not in public_paths:
            kind = type(context.original_route).__name__
            raise MissingRule(
                f"{context.path or context.original_route} is a {kind}, which checks no permission:"
                " give its router route_class=GuardedRoute"
            )


def _rule(path: str, *, endpoint: Callable[..., Any]) -> Rule:
    rule = rule_of(endpoint)
    if rule is None:
        name = getattr(endpoint, "__qualname__", repr(endpoint))
        raise MissingRule(
            f"{name} at {path} has no authorization rule: put @needs(...), @needs_path(...) or @public below"
            " its route decorator"
        )
    return rule


async def _admit(request: Request, *, rule: Rule) -> None:
    gateway = request.app.state.gateway
    authorizer: Authorizer = gateway.authorizer
    # Two headers are rejected: joined, they are not a valid token.
    sent = request.headers.getlist("authorization")
    requester = await authorizer.identify(", ".join(sent) if sent else None)
    # Stored before the check, so that the log line of a rejected request has it too.
    request.state.requester = requester
    permission = rule.permission(_namespace(request, default=gateway.settings.namespace))
    if permission is not None:
        await authorizer.require(requester, permission)


def _namespace(request: Request, *, default: str) -> str:
    """The namespace of the request. An invalid name is rejected without asking the API server."""
    namespace: str = request.path_params.get("namespace", default)
    if not NAMESPACE_NAME.fullmatch(namespace):
        rule = "must have 1 to 63 lower-case letters, digits and -, and begin and end with a letter or digit"
        raise Problem(
            Kind.INVALID_INPUT,
            f"namespace: {rule}",
            errors=[FieldProblem(parameter="namespace", detail=rule)],
        )
    return namespace
