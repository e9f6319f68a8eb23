"""The gateway's process: its listeners, its start and stop, and its responses on the wire."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kelery_dev.supervise.ports import free_port
from tests.integration.api.conftest import StartGateway
from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until

RUNS = "/v1/namespaces/default/taskruns"
SECRET = "the-argument-of-a-task"


def connect(gateway: GatewayProcess) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)


def run_it(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a gateway that must exit without a signal."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KELERY_")}
    return subprocess.run(
        [sys.executable, "-m", "kelery", "api"],
        env={**inherited, "KELERY_REDIS_URL": "redis://127.0.0.1:1/0", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_pages_for_machines_exist(gateway_process: GatewayProcess) -> None:
    assert gateway_process.ask("/livez").body == b"ok\n"
    assert gateway_process.ask("/readyz").body == b"ok\n"
    assert gateway_process.ask("/openapi.json").json["info"]["title"] == "Kelery"
    metrics = gateway_process.ask("/metrics").body.decode()
    assert 'kelery_api_requests_total{method="GET",route="/livez",status="2xx"}' in metrics
    assert "kelery_api_ledger_up 1.0" in metrics
    assert "server" not in gateway_process.ask("/livez").headers


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "kind"),
    [
        ("GET", "/nowhere", None, {}, 404, "not-found"),
        ("GET", f"{RUNS}/nobody", None, {}, 404, "not-found"),
        ("PUT", RUNS, b"{}", {}, 405, "method-not-allowed"),
        ("POST", RUNS, b"{}", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        ("POST", RUNS, b"{", {}, 400, "invalid-json"),
        ("POST", RUNS, b'"' + b"x" * 300_000 + b'"', {}, 413, "body-too-large"),
        ("POST", RUNS, b'{"spec": {}}', {}, 422, "invalid-input"),
        ("GET", f"{RUNS}?limit=0", None, {}, 422, "invalid-input"),
        ("GET", RUNS, None, {"Origin": "https://evil.example"}, 403, "forbidden"),
    ],
)
def test_every_error_is_a_problem(
    gateway_process: GatewayProcess,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    kind: str,
) -> None:
    answer = gateway_process.ask(path, method=method, body=body, headers={**headers, "X-Request-ID": "r-1"})
    assert (answer.status, answer.problem) == (status, kind)
    assert answer.headers["x-request-id"] == answer.json["request_id"] == "r-1"
    assert answer.json["instance"] == path.partition("?")[0]


def test_all_invalid_parameters_are_named(gateway_process: GatewayProcess) -> None:
    errors = gateway_process.ask(f"{RUNS}?limit=0&phase=Sleeping").json["errors"]
    assert {error["parameter"].partition(".")[0] for error in errors} == {"limit", "phase"}


def test_a_chunked_body_is_counted_as_it_arrives(gateway_process: GatewayProcess) -> None:
    connection = connect(gateway_process)
    chunks = (b'"' if number == 0 else b"x" * 4096 for number in range(66))
    connection.request(
        "POST", RUNS, body=chunks, headers={"Content-Type": "application/json"}, encode_chunked=True
    )
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["type"].rpartition("/")[2]) == (413, "body-too-large")
    connection.close()


def test_a_head_request_is_answered_without_a_body(gateway_process: GatewayProcess) -> None:
    connection = connect(gateway_process)
    for path, status in (("/livez", 200), ("/readyz", 200), ("/nowhere", 404), ("/v1/queues", 405)):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"")
    connection.close()


def test_nothing_that_users_send_is_logged(gateway_process: GatewayProcess) -> None:
    good = {"spec": {"task": "demo.add", "args": [SECRET], "concurrency": {"key": "k"}}}
    made = gateway_process.ask(f"{RUNS}?wait=0s", method="POST", body=good)
    assert made.status == 202
    assert gateway_process.ask(f"/status?task_id={SECRET}").status == 404
    assert gateway_process.ask(RUNS, method="POST", body={"spec": {"args": [SECRET]}}).status == 422
    assert gateway_process.ask(RUNS, method="POST", body=b'{"' + SECRET.encode()).status == 400
    assert gateway_process.ask(f"/{SECRET}").status == 404
    assert gateway_process.ask(RUNS, token=SECRET, headers={"X-Request-ID": "last"}).status == 200
    poll_until(
        lambda: "request_id=last" in gateway_process.log.read_text(),
        seconds=30,
        what="the log line of the last request",
        state=gateway_process.told,
    )
    assert SECRET not in gateway_process.log.read_text()


def test_the_metrics_listener_serves_only_health_and_metrics(start_gateway: StartGateway) -> None:
    port = free_port()
    start_gateway(KELERY_API_METRICS_ADDR=f"127.0.0.1:{port}")
    statuses = {}
    for path in ("/livez", "/readyz", "/metrics", "/start", RUNS):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        statuses[path] = connection.getresponse().status
        connection.close()
    assert statuses == {"/livez": 200, "/readyz": 200, "/metrics": 200, "/start": 404, RUNS: 404}


def test_an_address_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run_it({"KELERY_AUTH": "none", "KELERY_API_ADDR": address})
    assert ended.returncode == 2
    assert (
        ended.stderr.splitlines()[-1]
        == f"KELERY_API_ADDR={address}: address already in use; use another address"
    )
    assert "Traceback" not in ended.stderr


def test_no_authentication_on_all_addresses_is_rejected() -> None:
    ended = run_it({"KELERY_AUTH": "none", "KELERY_API_ADDR": "0.0.0.0:0"})
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "KELERY_AUTH_NONE_ANYWHERE" in ended.stderr


def test_kubernetes_authentication_without_a_cluster_is_rejected(tmp_path: Path) -> None:
    missing = {"KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": ""}
    ended = run_it({"KELERY_API_ADDR": "127.0.0.1:0", **missing})
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_missing_authentication_is_logged_at_the_start(gateway_process: GatewayProcess) -> None:
    assert "WARNING kelery.api: KELERY_AUTH=none" in gateway_process.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_despite_open_streams_and_waits(
    start_gateway: StartGateway, number: signal.Signals
) -> None:
    gateway = start_gateway()
    made = gateway.ask(RUNS, method="POST", body={"spec": {"task": "demo.add"}}).json
    path = f"{RUNS}/{made['metadata']['uid']}"
    idle, stream, wait = connect(gateway), connect(gateway), connect(gateway)
    idle.request("GET", "/livez")
    idle.getresponse().read()
    stream.request("GET", f"{path}/events")
    events = stream.getresponse()
    assert events.status == 200
    assert events.readline()
    asked = time.monotonic()
    wait.request("GET", f"{path}?wait=60s")
    in_flight = "kelery_api_requests_in_flight 3.0"
    poll_until(lambda: in_flight in gateway.ask("/metrics").body.decode(), seconds=30, what="both to be open")
    os.kill(gateway.pid, number)
    assert gateway.wait(seconds=90) == 0
    # The open wait returned early. `tests/perf/test_promised_times.py` tests the promised time.
    assert time.monotonic() - asked < 60
    # Both ended properly: nothing was aborted.
    events.read()
    assert wait.getresponse().status == 200
    assert "Traceback" not in gateway.told()
    for connection in (idle, stream, wait):
        connection.close()


def test_it_starts_again_at_once_on_its_port(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    assert gateway.ask(RUNS).status == 200
    gateway.kill()
    gateway.start()
    gateway.wait_until_ready()
    assert gateway.ask(RUNS).status == 200
