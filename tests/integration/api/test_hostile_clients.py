"""Clients that send too much, send too slowly, or leave. None of them holds resources for long."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kelery_api.http.bounded_protocol import HEAD_SECONDS, MAX_HEAD_BYTES
from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until

RUNS = "/v1/namespaces/default/taskruns"
HEAD = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n"
NOT_HTTP = [
    b"nonsense\r\n\r\n",
    b"FOO /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    HEAD + b"X-Request-ID: a\r\n b\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
]


@contextmanager
def connected(gateway: GatewayProcess, *, timeout: float = 60) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Everything until the gateway closes the connection."""
    told = b""
    try:
        while chunk := connection.recv(65536):
            told += chunk
    except ConnectionResetError:
        # It closed the connection with unread bytes.
        pass
    return told


def problem_in(told: bytes) -> tuple[int, str]:
    """Status and problem kind of the response."""
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head, told
    assert b"x-request-id: " in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem["status"], problem["type"].rpartition("/")[2]


def posts(gateway: GatewayProcess) -> Counter[str]:
    """The number of finished POST requests by status class."""
    pattern = r'^kelery_api_requests_total{method="POST",.*status="(...)"} (\S+)$'
    told = gateway.ask("/metrics").body.decode()
    counted: Counter[str] = Counter()
    for status, number in re.findall(pattern, told, re.M):
        counted[status] += int(float(number))
    return counted


def in_flight(gateway: GatewayProcess) -> int:
    """The number of requests in progress, except this one."""
    found = re.search(r"^kelery_api_requests_in_flight (\S+)$", gateway.ask("/metrics").body.decode(), re.M)
    assert found is not None
    return int(float(found[1])) - 1


@pytest.mark.parametrize("sent", NOT_HTTP)
def test_invalid_http_is_rejected_as_a_problem(gateway_process: GatewayProcess, sent: bytes) -> None:
    with connected(gateway_process) as connection:
        connection.sendall(sent)
        assert problem_in(read_to_end(connection)) == (400, "bad-request")


def test_endless_headers_are_cut_off(gateway_process: GatewayProcess) -> None:
    sent = 0
    with connected(gateway_process) as connection:
        connection.sendall(HEAD)
        try:
            while sent < 100 * MAX_HEAD_BYTES:
                connection.sendall(b"X-Filler: " + b"x" * 8000 + b"\r\n")
                sent += 8000
            pytest.fail("the gateway has read all of them")
        except (ConnectionResetError, BrokenPipeError):
            pass


def test_headers_that_are_too_large_are_rejected_with_431(gateway_process: GatewayProcess) -> None:
    with connected(gateway_process) as connection:
        connection.sendall(HEAD + b"X-Filler: " + b"x" * MAX_HEAD_BYTES)
        assert problem_in(read_to_end(connection)) == (431, "headers-too-large")


def test_a_large_body_after_an_early_response_does_not_count_as_headers(
    gateway_process: GatewayProcess,
) -> None:
    size = 4 * MAX_HEAD_BYTES
    with connected(gateway_process) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        first = connection.recv(65536)
        for _ in range(size // 8192):
            connection.sendall(b"x" * 8192)
        connection.sendall(HEAD + b"Connection: close\r\n\r\n")
        told = first + read_to_end(connection)
    assert re.findall(rb"HTTP/1.1 \d+", told) == [b"HTTP/1.1 400", b"HTTP/1.1 200"]


def test_headers_that_do_not_arrive_time_out(gateway_process: GatewayProcess) -> None:
    began = time.monotonic()
    with (
        connected(gateway_process, timeout=HEAD_SECONDS + 30) as silent,
        connected(gateway_process, timeout=HEAD_SECONDS + 30) as empty,
        connected(gateway_process, timeout=HEAD_SECONDS + 30) as slow,
    ):
        empty.sendall(b"\r\n")
        slow.sendall(HEAD + b"X-Slow: ")
        assert problem_in(read_to_end(slow)) == (408, "request-timeout")
        assert time.monotonic() - began > HEAD_SECONDS * 0.9
        assert read_to_end(empty) == read_to_end(silent) == b""


def test_an_incomplete_next_request_does_not_abort_the_previous_response(
    gateway_process: GatewayProcess,
) -> None:
    run = gateway_process.ask(RUNS, method="POST", body={"spec": {"task": "demo.add"}}).json
    seconds = int(HEAD_SECONDS) + 2
    path = f"{RUNS}/{run['metadata']['uid']}?wait={seconds}s".encode()
    with connected(gateway_process, timeout=seconds + 30) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + HEAD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("what", ["?wait=60s", "/events"])
def test_a_client_that_leaves_frees_its_resources(gateway_process: GatewayProcess, what: str) -> None:
    run = gateway_process.ask(RUNS, method="POST", body={"spec": {"task": "demo.add"}}).json
    path = f"{RUNS}/{run['metadata']['uid']}{what}".encode()
    with connected(gateway_process) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        poll_until(lambda: in_flight(gateway_process) == 1, seconds=30, what="the request to wait")
    poll_until(lambda: in_flight(gateway_process) == 0, seconds=30, what="the request to end with its client")
    assert "request failed with an internal error" not in gateway_process.log.read_text()


def test_a_client_that_leaves_while_sending_its_body_is_not_an_internal_error(
    gateway_process: GatewayProcess,
) -> None:
    before = posts(gateway_process)
    with connected(gateway_process) as connection:
        head = f"POST {RUNS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + b"X-Request-ID: leaves\r\nContent-Length: 100\r\n\r\n{")
        poll_until(lambda: in_flight(gateway_process) == 1, seconds=15, what="the body to be read")
    poll_until(
        lambda: re.search("status=499 .*request_id=leaves", gateway_process.log.read_text()),
        seconds=30,
        what="its log line",
        state=gateway_process.told,
    )
    assert "request failed with an internal error" not in gateway_process.log.read_text()
    assert posts(gateway_process) - before == Counter({"4xx": 1})


def test_many_slow_bodies_do_not_delay_other_requests(gateway_process: GatewayProcess) -> None:
    head = f"POST {RUNS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    slow = [socket.create_connection(("127.0.0.1", gateway_process.port)) for _ in range(200)]
    try:
        for connection in slow:
            connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\n{")
        poll_until(lambda: in_flight(gateway_process) == 200, seconds=15, what="200 bodies to be read")
        answer = gateway_process.ask(RUNS, method="POST", body={"spec": {"task": "demo.add"}})
        # It got its response before all of them.
        assert (answer.status, in_flight(gateway_process)) == (202, 200)
    finally:
        for connection in slow:
            connection.close()
    poll_until(lambda: in_flight(gateway_process) == 0, seconds=30, what="them to end with their clients")


@pytest.mark.parametrize("origin", ["http://[::1", "http://a]b", "//", "null", "http://evil.example"])
def test_any_other_origin_is_rejected(gateway_process: GatewayProcess, origin: str) -> None:
    answer = gateway_process.ask("/start", method="POST", headers={"Origin": origin})
    assert (answer.status, answer.problem) == (403, "forbidden")
