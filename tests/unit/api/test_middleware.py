"""The middleware around every request, in the whole app without a ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Scope

from kelery.settings import LedgerSettings
from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import public
from kelery_api.app import create_app
from kelery_api.ops.metrics import Metrics
from kelery_api.settings import ApiSettings, Auth

SECRET = "the-argument-of-a-task"
OWN = "http://localhost:8000"
router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/fails/{word}")
@public
async def fails(word: str, q: str = "") -> Response:
    """Fails with a user's value in the message of the error and of its cause."""
    try:
        return Response(dict[str, str]()[word])
    except KeyError as error:
        raise RuntimeError(f"cannot do {word}") from error


@router.get("/breaks")
@public
async def breaks() -> Response:
    """Fails after half of the response has been sent."""

    async def halves() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError(SECRET)

    return StreamingResponse(halves())


def new_app() -> FastAPI:
    settings = ApiSettings(ledger=LedgerSettings(redis_url="redis://127.0.0.1:1"), auth=Auth.NONE)
    app = create_app(settings, login=None)
    app.include_router(router)
    return app


def ask(path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=new_app())
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "kelery.api"]


def test_an_internal_error_is_a_problem_that_does_not_show_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = ask(f"/fails/{SECRET}?q={SECRET}", headers={"X-Request-ID": "r-7"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["request_id"]) == ("https://kelery.dev/problems/internal-error", "r-7")
    assert SECRET not in body["detail"]
    logged = "\n".join(str(vars(record)) for record in lines(caplog))
    assert "builtins.RuntimeError < builtins.KeyError" in logged
    assert "test_middleware.py" in logged
    assert SECRET not in logged


def test_a_response_that_fails_midway_is_aborted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    body: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        # The client stays connected and sends nothing more.
        return body.pop() if body else await asyncio.Future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/breaks", "query_string": b""}
    scope["headers"] = [(b"host", b"localhost:8000")]
    asyncio.run(new_app()(scope, receive, send))
    # The response has no end, so a server closes the connection.
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    logged = [record for record in lines(caplog) if record.levelno == logging.ERROR]
    assert len(logged) == 1
    assert SECRET not in str(vars(logged[0]))


def test_a_valid_request_id_is_kept() -> None:
    assert ask("/livez", headers={"X-Request-ID": "a.B_c-1"}).headers["x-request-id"] == "a.B_c-1"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "a;b"])
def test_an_invalid_request_id_is_replaced(given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    made = ask("/livez", headers=headers).headers["x-request-id"]
    assert made != given
    assert len(made) == 32


def test_each_request_is_one_log_line_with_its_route_template(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kelery.api")
    ask(f"/v1/namespaces/x/taskruns/{SECRET}?wait={SECRET}", method="PUT", headers={"X-Request-ID": "r-1"})
    (line,) = lines(caplog)
    fields: dict[str, Any] = vars(line)
    assert fields["route"] == "/v1/namespaces/{namespace}/taskruns/{id}"
    assert (fields["method"], fields["status"], fields["request_id"]) == ("PUT", 405, "r-1")
    assert fields["seconds"] >= 0
    assert fields["requester"] == ""
    assert SECRET not in str(fields)


def test_an_unknown_path_is_a_problem_and_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kelery.api")
    answer = ask(f"/{SECRET}")
    assert (answer.status_code, answer.json()["instance"]) == (404, f"/{SECRET}")
    assert SECRET not in str([vars(record) for record in lines(caplog)])


def test_a_path_with_a_trailing_slash_is_not_redirected() -> None:
    assert ask("/v1/namespaces/default/taskruns/x/").status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/start", "GET, POST"),
        ("/v1/namespaces/x/taskruns", "GET, POST"),
        ("/v1/namespaces/x/taskruns/a", "DELETE, GET"),
        ("/v1/namespaces/x/taskruns/a:cancel", "POST"),
        ("/v1/namespaces/x/keys/a/b", "GET"),
    ],
)
def test_an_unsupported_method_is_rejected_with_all_supported_ones(path: str, allowed: str) -> None:
    answer = ask(path, method="PATCH")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_methods_do_not_create_unlimited_series() -> None:
    app = new_app()

    async def send() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            for number in range(20):
                await client.request(f"BREW{number}", f"/x{number}")
            (middleware,) = app.user_middleware
            metrics = middleware.kwargs["metrics"]
            assert isinstance(metrics, Metrics)
            return metrics.text().decode()

    text = asyncio.run(send())
    assert 'method="other",route="unmatched",status="4xx"} 20.0' in text
    assert "BREW" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
    ],
)
def test_without_authentication_pages_of_other_origins_are_rejected(headers: dict[str, str]) -> None:
    answer = ask("/livez", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "https://kelery.dev/problems/forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "[::1]:8000"},
        {"Host": "127.0.0.1"},
    ],
)
def test_requests_of_its_own_page_or_a_program_are_served(headers: dict[str, str]) -> None:
    assert ask("/livez", headers=headers).status_code == 200


def test_no_response_has_cors_headers() -> None:
    answer = ask("/livez", headers={"Origin": OWN})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_other_sites_can_link_to_the_docs() -> None:
    answer = ask("/docs", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
