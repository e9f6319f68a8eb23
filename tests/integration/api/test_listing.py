"""Lists of the live gateway: bounded pages that show every run once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.gateway_process import GatewayProcess


def runs_of(namespace: str) -> str:
    return f"/v1/namespaces/{namespace}/taskruns"


def create(gateway: GatewayProcess, runs: str, **spec: Any) -> str:
    answer = gateway.ask(runs, method="POST", body={"spec": {"task": "demo.add", **spec}})
    assert answer.status == 202, answer.body
    return str(answer.json["metadata"]["uid"])


def pages(gateway: GatewayProcess, runs: str, query: str) -> Iterator[tuple[list[str], int]]:
    """The uids of each page, and its size in bytes."""
    following = ""
    while True:
        answer = gateway.ask(f"{runs}?{query}{following}")
        assert answer.status == 200, answer.body
        yield [item["metadata"]["uid"] for item in answer.json["items"]], len(answer.body)
        if "continue" not in answer.json["metadata"]:
            return
        following = f"&continue={answer.json['metadata']['continue']}"


def test_pages_of_large_runs_are_short_and_together_show_each_run_once(
    gateway_process: GatewayProcess,
) -> None:
    runs = runs_of("large")
    made = [create(gateway_process, runs, args=["x" * 120_000]) for _ in range(220)]
    found = list(pages(gateway_process, runs, "limit=500"))
    assert [uid for uids, _ in found for uid in uids] == made[::-1]
    assert max(size for _, size in found) < 16 * 1024 * 1024
    assert len(found) > 1


def test_filtered_pages_show_each_matching_run_once(gateway_process: GatewayProcess) -> None:
    runs = runs_of("filtered")
    made = [create(gateway_process, runs, task=f"demo.{number % 7}") for number in range(105)]
    for limit in (1, 4, 15, 500):
        found = [
            uid for uids, _ in pages(gateway_process, runs, f"limit={limit}&task=demo.3") for uid in uids
        ]
        assert found == made[3::7][::-1], limit


def test_runs_that_are_deleted_while_pages_are_read_do_not_hide_others(
    gateway_process: GatewayProcess,
) -> None:
    runs = runs_of("deleted")
    made = [create(gateway_process, runs) for _ in range(30)]
    shown = []
    for uids, _ in pages(gateway_process, runs, "limit=10"):
        shown += uids
        for uid in uids[:5] + uids[-1:]:
            assert gateway_process.ask(f"{runs}/{uid}", method="DELETE").status == 204
    assert shown == made[::-1]
