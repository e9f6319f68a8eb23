"""A run's events as a client of a real gateway receives them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import psutil
import pytest

from kelery.ledger import commands, sync_client
from tests.support.gateway_process import Answer, GatewayProcess
from tests.support.ledger_bench import Bench
from tests.support.polling import poll_until


def path_of(uid: str) -> str:
    return f"/v1/namespaces/team/taskruns/{uid}"


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    """The ledger, and a simulated worker."""
    with sync_client.connect(valkey_url, timeout_seconds=5, client_name="played") as client:
        yield Bench(sync_client.Ledger(client, prefix="kelery"))


def events_in(answer: Answer) -> list[tuple[str, int]]:
    """The names and ids, in order."""
    found = re.findall(r"^event: (\w+)\nid: (\d+)\ndata: \{.*\}\n\n", answer.body.decode(), re.MULTILINE)
    return [(name, int(number)) for name, number in found]


def test_a_stream_follows_a_run_to_its_end_and_resumes_after_an_interruption(
    bench: Bench, gateway_process: GatewayProcess
) -> None:
    fence = bench.start("told")
    path = path_of("told")
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(gateway_process.ask(f"{path}/events")))
    client.start()
    bench.ledger.run(commands.progress("told", fence, '{"current":1,"total":2}'))
    bench.settle("told", fence)
    client.join(timeout=60)
    (whole,) = answers
    assert whole.headers["content-type"] == "text/event-stream"
    told = [event for event in events_in(whole) if event[0] != "progress"]
    assert told == [("phase", 1), ("phase", 2), ("finished", 4)]
    shown = gateway_process.ask(path).body.decode()
    assert f"data: {shown.strip()}\n" in whole.body.decode()
    resumed = gateway_process.ask(f"{path}/events", headers={"Last-Event-ID": "2"})
    assert events_in(resumed) == [("finished", 4)]
    over = gateway_process.ask(f"{path}/events", headers={"Last-Event-ID": "4"})
    assert (over.status, over.body) == (204, b"")


def test_a_stream_that_cannot_start_is_a_problem(bench: Bench, gateway_process: GatewayProcess) -> None:
    bench.start("known")
    unknown = gateway_process.ask(f"{path_of('nobody')}/events")
    assert (unknown.status, unknown.problem) == (404, "not-found")
    wrong = gateway_process.ask(f"{path_of('known')}/events", headers={"Last-Event-ID": "yesterday"})
    assert (wrong.status, wrong.problem) == (422, "invalid-input")
    assert wrong.json["errors"][0]["parameter"] == "Last-Event-ID"


def test_a_client_that_closes_its_connection_is_released(
    bench: Bench, gateway_process: GatewayProcess
) -> None:
    bench.start("silent")
    process = psutil.Process(gateway_process.pid)

    def clients() -> int:
        connections = process.net_connections(kind="tcp")
        return sum(each.laddr.port == gateway_process.port and bool(each.raddr) for each in connections)

    for _ in range(3):
        # It disconnects while the stream is silent.
        gateway_process.ask(f"{path_of('silent')}/events", timeout=0.3)
    poll_until(lambda: clients() == 0, seconds=30, what="no connection is left", state=clients)
