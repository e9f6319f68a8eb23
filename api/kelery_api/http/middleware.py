"""The middleware around every route: request ID, access log, metrics, the last-resort 500, and, without
authentication, the rejection of requests from pages of other origins.

Plain ASGI, so that streams pass through unchanged. Invariant: no query string, body, header or raw path of a
request reaches the log.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kelery_api.http import exception_handlers
from kelery_api.http.problems import Kind, Problem, response_of
from kelery_api.http.same_origin import SameOriginOnly
from kelery_api.ops.metrics import Metrics

logger = logging.getLogger("kelery.api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
#: The route label of requests that match no route.
_UNMATCHED = "unmatched"
#: nginx's status for a client that disconnected. It is counted and logged, never sent.
_CLIENT_LEFT = 499
_WEBSOCKET_REFUSED: Message = {"type": "websocket.close", "code": 1008}


class Middleware:
    """ASGI middleware. `same_origin` is None if tokens protect the routes."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, same_origin: SameOriginOnly | None) -> None:
        self._app = app
        self._metrics = metrics
        self._same_origin = same_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await send(_WEBSOCKET_REFUSED)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        exchange = _Exchange(
            request_id=given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex, send=send
        )
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        self._metrics.in_flight.inc()
        try:
            refused = self._same_origin.refusal(headers, path=scope["path"]) if self._same_origin else ""
            if refused:
                await self._respond(Problem(Kind.FORBIDDEN, refused), scope, receive, exchange)
            else:
                await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            # The client has gone; the gateway is fine.
            pass
        except Exception as error:
            exception_handlers.log_internal_error(error)
            # A response in progress can only be aborted: the server closes the connection.
            if not exchange.status:
                problem = exception_handlers.internal_error()
                await self._respond(problem, scope, receive, exchange)
        finally:
            self._metrics.in_flight.dec()
            self._finish(scope, exchange)

    @staticmethod
    async def _respond(problem: Problem, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        path = Request(scope).url.path
        response = response_of(problem, path=path, request_id=exchange.request_id)
        await response(scope, receive, exchange.send)

    def _finish(self, scope: Scope, exchange: _Exchange) -> None:
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        method = scope["method"]
        first_byte = exchange.first_byte()
        self._metrics.count(
            route=route, method=method, status=exchange.status or _CLIENT_LEFT, seconds=first_byte
        )
        requester = scope["state"].get("requester")
        logger.info(
            "request",
            extra={
                "method": method if method.isalpha() else "?",
                "route": route,
                "status": exchange.status or _CLIENT_LEFT,
                "seconds": round(exchange.age(), 6),
                "request_id": exchange.request_id,
                "requester": getattr(requester, "name", ""),
            },
        )


class _Exchange:
    """One request and its response: status, and time of the first byte."""

    def __init__(self, *, request_id: str, send: Send) -> None:
        self.request_id = request_id
        #: 0 until the response begins.
        self.status = 0
        self._send = send
        self._began = time.perf_counter()
        self._first_byte = 0.0

    async def send(self, message: Message) -> None:
        """Send to the server, with the request ID in the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._first_byte = self.age()
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
        await self._send(message)

    def age(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self._began

    def first_byte(self) -> float:
        """Seconds until the response began, or until now if it never did."""
        return self._first_byte or self.age()
