"""`/start`, `/status`, `/cancel` with a real worker: the answers to a first `curl`, and no lock is left."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until
from tests.support.system import System

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(system: System) -> Iterator[GatewayProcess]:
    process = system.start_gateway(KELERY_START_TASK="users.nap")
    yield process
    process.kill()


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    """A client whose runs have the test's own key."""
    key = f"quickstart-{next(_numbers)}"
    with httpx.Client(base_url=gateway.url, params={"key": key}, timeout=30) as client:
        yield client
        client.post("/cancel")


def status_of(client: httpx.Client, **params: Any) -> str:
    return str(client.get("/status", params=params).json()["status"])


def wait_for(client: httpx.Client, status: str, **params: Any) -> dict[str, Any]:
    poll_until(lambda: status_of(client, **params) == status, seconds=30, what=status)
    shown: dict[str, Any] = client.get("/status", params=params).json()
    return shown


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_at_a_time(client: httpx.Client, method: str) -> None:
    started = client.request(method, "/start", params={"args": "[60]"})
    assert started.status_code == 200
    uid = started.json()["id"]
    assert started.json() == {"id": uid, "status": "PENDING", "result": None}
    refused = client.request(method, "/start", params={"args": "[60]"})
    assert (refused.status_code, refused.json()["id"]) == (409, uid)
    wait_for(client, "STARTED", task_id=uid)
    assert client.get("/status").json()["id"] == uid
    client.request(method, "/cancel")
    assert wait_for(client, "REVOKED") == {"id": uid, "status": "REVOKED", "result": None}
    again = client.request(method, "/start", params={"args": "[60]"})
    assert again.status_code == 200
    assert again.json()["id"] != uid
    assert client.get("/status").json()["id"] == again.json()["id"]


def test_the_result_is_what_the_task_returned(client: httpx.Client) -> None:
    body = {"task": "users.echo", "args": [{"n": 2**53 + 1, "none": None}]}
    uid = client.post("/start", json=body).json()["id"]
    assert wait_for(client, "SUCCESS")["result"] == {"n": 2**53 + 1, "none": None}
    assert wait_for(client, "SUCCESS", task_id=uid)["id"] == uid


def test_the_result_of_a_failure_is_its_traceback(client: httpx.Client) -> None:
    client.get("/start", params={"task": "users.boom", "kwargs": '{"message": "as asked"}'})
    result = wait_for(client, "FAILURE")["result"]
    assert result.startswith("Traceback")
    assert "as asked" in result


def test_an_unknown_task_fails_and_says_why(client: httpx.Client) -> None:
    client.get("/start", params={"task": "no.such"})
    assert "no.such" in wait_for(client, "FAILURE")["result"]


def test_what_was_never_run_is_not_found(client: httpx.Client) -> None:
    for path in ("/status", "/cancel"):
        assert client.get(path).status_code == 404
        assert client.get(path, params={"task_id": "8b1b2c9e-0000-4000-8000-000000000000"}).status_code == 404


def test_a_refused_start_is_not_the_last_run(client: httpx.Client) -> None:
    uid = client.get("/start", params={"args": "[60]"}).json()["id"]
    assert client.get("/start", params={"args": "[60]"}).status_code == 409
    client.get("/cancel")
    assert wait_for(client, "REVOKED")["id"] == uid


@pytest.mark.parametrize("by_body", [True, False])
def test_cancel_stops_the_run_that_was_named_and_no_other(client: httpx.Client, by_body: bool) -> None:
    mine = client.get("/start", params={"args": "[60]"}).json()["id"]
    other = client.get("/start", params={"args": "[60]", "key": f"{client.params['key']}-b"}).json()["id"]
    said: dict[str, Any] = {"json": {"task_id": other}} if by_body else {"params": {"task_id": other}}
    assert client.post("/cancel", **said).json()["id"] == other
    wait_for(client, "REVOKED", task_id=other)
    assert status_of(client, task_id=mine) != "REVOKED"


@pytest.mark.parametrize("path", ["/start", "/status", "/cancel"])
def test_a_parameter_that_is_not_known_does_nothing(client: httpx.Client, path: str) -> None:
    uid = client.get("/start", params={"args": "[60]"}).json()["id"]
    answer = client.get(path, params={"id": uid})
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == ["id"]
    assert status_of(client) in ("PENDING", "STARTED")


def test_a_body_that_cancel_does_not_know_does_nothing(client: httpx.Client) -> None:
    client.get("/start", params={"args": "[60]"})
    assert client.post("/cancel", json={"id": "x"}).status_code == 422
    assert client.post("/cancel", data={"task_id": "x"}).status_code == 415
    assert status_of(client) in ("PENDING", "STARTED")


@pytest.mark.parametrize(
    ("said", "parameter"),
    [({"args": "[1"}, "args"), ({"kwargs": "nan"}, "kwargs"), ({"args": "[NaN]"}, "args")],
)
def test_a_query_that_is_no_json_is_named(client: httpx.Client, said: dict[str, str], parameter: str) -> None:
    answer = client.get("/start", params=said)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"task": ""}, "/task"),
        ({"args": {}}, "/args"),
        ({"kwargs": []}, "/kwargs"),
        ({"key": "not a key", "args": [1]}, "/key"),
        ({"tsak": "users.nap"}, "/tsak"),
    ],
)
def test_a_bad_field_is_named(gateway: GatewayProcess, said: dict[str, Any], pointer: str) -> None:
    answer = httpx.post(f"{gateway.url}/start", json=said)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "kills", [4, pytest.param(25, marks=[pytest.mark.thorough, pytest.mark.timeout(600)])]
)
def test_a_gateway_killed_at_any_moment_leaves_no_lock(system: System, kills: int) -> None:
    """It is killed repeatedly under load from several clients. At the end it must start a run."""
    gateway = system.start_gateway(KELERY_START_TASK="users.echo", KELERY_START_KEY="killed")
    stop = threading.Event()
    answers: list[int] = []

    def load() -> None:
        with httpx.Client(timeout=10) as client:
            while not stop.is_set():
                try:
                    answers.append(client.post(f"{gateway.url}/start").status_code)
                except httpx.HTTPError:
                    time.sleep(0.05)

    def serve_once() -> None:
        served = answers.count(200)
        poll_until(lambda: answers.count(200) > served, seconds=30, what="a run to be started")

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    chance = random.Random(4)
    try:
        for _ in range(kills):
            serve_once()
            time.sleep(chance.uniform(0, 0.25))
            gateway.kill()
            gateway.start()
            gateway.wait_until_ready()
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(answers) == {200, 409}
    assert answers.count(200) > kills
    with httpx.Client(base_url=gateway.url, timeout=30) as last:
        wait_for(last, "SUCCESS")
        started = last.post("/start")
        assert started.status_code == 200, started.text
        assert wait_for(last, "SUCCESS")["id"] == started.json()["id"]
    assert system.probe().ledger.client.zcard("kelery:hold:default/killed") == 0
    gateway.kill()
