"""How often the ledger is queried for figures of queues, and how many queues become metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kelery.errors import LedgerError, LedgerUnavailable
from kelery.ledger.async_client import Ledger
from kelery.run.model import QueueUse, WorkerPresence
from kelery_api.http.responses import json_response
from kelery_api.ops import workers_and_queues
from kelery_api.ops.metrics import QUEUES_AT_MOST, Metrics
from kelery_api.ops.queue_stats import AGAIN_SECONDS, KEPT_SECONDS, QueueStatsCache
from kelery_api.ops.workers_and_queues import QueueStats


class CountedLedger(Ledger):
    """A double with preset responses. It counts its calls, and how many are concurrent."""

    def __init__(self) -> None:
        self.uses: list[QueueUse] = []
        self.present: list[WorkerPresence] = []
        self.error: LedgerError | None = None
        self.asked = self.asking = self.most_at_once = 0

    async def run(self, call: Any) -> Any:
        return self.present

    async def run_all(self, calls: Sequence[Any]) -> list[Any]:
        assert len(calls) == 2
        self.asked += 1
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        await asyncio.sleep(0)
        self.asking -= 1
        if self.error is not None:
            raise self.error
        return [self.uses, self.present]


def figures_of(ledger: CountedLedger, *, clock: Callable[[], float] = lambda: 0.0) -> QueueStatsCache:
    return QueueStatsCache(ledger, alive_within=15, default_queue="celery", clock=clock)


def worker(*queues: str, silent: float = 1) -> WorkerPresence:
    info = json.dumps({"name": "w", "queues": queues})
    return WorkerPresence(worker="w/1", info_json=info, silent_seconds=silent, claims=())


def test_the_load_is_the_sum_of_queued_and_running() -> None:
    ledger = CountedLedger()
    ledger.uses = [QueueUse(queue="batch", messages=3, running=2)]
    ledger.present = [worker("batch"), worker("batch", "celery"), worker("batch", silent=60)]

    async def ask() -> None:
        figures = figures_of(ledger)
        batch = QueueStats(queue="batch", queued=3, running=2, workers=2)
        assert await figures.every() == [batch, QueueStats(queue="celery", workers=1)]
        assert (await figures.of("batch")).load == 5
        assert await figures.of("nobody's") == QueueStats(queue="nobody's")

    asyncio.run(ask())


def test_a_worker_is_shown_no_matter_what_it_reports() -> None:
    """Workers of other versions, or broken ones, can report anything. Values of a wrong type are omitted."""
    ledger = CountedLedger()
    reports = [
        "no JSON",
        "[1]",
        json.dumps({"name": "\ud800", "queues": ["q", 1], "slots": True, "celery": 5}),
    ]
    ledger.present = [
        WorkerPresence(worker=f"w{number}/1", info_json=report, silent_seconds=-0.1, claims=("b", "a"))
        for number, report in enumerate(reports)
    ]
    shown = asyncio.run(workers_and_queues.workers(ledger, alive_within=15))
    assert [(worker["name"], worker["queues"]) for worker in shown] == [
        ("w0", []),
        ("w1", []),
        ("\ud800", ["q"]),
    ]
    assert [(worker["slots"], worker["celery"], worker["silentSeconds"]) for worker in shown] == [
        (None, "", 0.0)
    ] * 3
    assert shown[0]["runs"] == ["a", "b"]
    assert json.loads(bytes(json_response({"items": shown}).body)) == {"items": shown}


def test_the_ledger_gets_one_query_no_matter_how_many_clients_ask() -> None:
    ledger, now = CountedLedger(), 100.0

    async def ask() -> None:
        nonlocal now
        figures = figures_of(ledger, clock=lambda: now)
        await asyncio.gather(*(figures.every() for _ in range(20)), *(figures.of("q") for _ in range(20)))
        assert (ledger.asked, ledger.most_at_once) == (1, 1)
        now += KEPT_SECONDS - 0.1
        await figures.every()
        assert ledger.asked == 1
        now += 0.2
        await figures.every()
        assert ledger.asked == 2

    asyncio.run(ask())


def test_an_outage_is_cached_for_a_moment_and_never_reported_as_zero() -> None:
    ledger, now = CountedLedger(), 100.0

    async def ask() -> None:
        nonlocal now
        figures = figures_of(ledger, clock=lambda: now)
        await figures.of("celery")
        now += KEPT_SECONDS
        ledger.error = LedgerUnavailable("away")
        answers = await asyncio.gather(*(figures.of("celery") for _ in range(10)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {LedgerUnavailable}
        assert ledger.asked == 2
        ledger.error = None
        with pytest.raises(LedgerUnavailable):
            await figures.of("celery")
        now += AGAIN_SECONDS
        assert await figures.of("celery") == QueueStats(queue="celery")

    asyncio.run(ask())


def shown(metrics: Metrics) -> list[str]:
    """The series of queues in Prometheus's text format."""
    lines = metrics.text().decode().splitlines()
    return [line for line in lines if line.startswith("kelery_api_queue")]


def test_an_unused_queue_loses_its_series() -> None:
    metrics = Metrics()
    metrics.queues.show([QueueStats(queue="a/b", queued=2, running=1, workers=3)])
    assert shown(metrics) == [
        'kelery_api_queue_messages{queue="a/b"} 2.0',
        'kelery_api_queue_running{queue="a/b"} 1.0',
        'kelery_api_queue_workers{queue="a/b"} 3.0',
        "kelery_api_queues_left_out 0.0",
    ]
    metrics.queues.show([])
    assert shown(metrics) == ["kelery_api_queues_left_out 0.0"]


def test_users_cannot_create_unlimited_series_or_push_out_queues_with_workers() -> None:
    metrics = Metrics()
    made_up = [QueueStats(queue=f"a{number:04}", queued=1) for number in range(1000)]
    metrics.queues.show([*made_up, QueueStats(queue="zz", workers=1)])
    lines = shown(metrics)
    assert len(lines) == 3 * QUEUES_AT_MOST + 1
    assert 'kelery_api_queue_workers{queue="zz"} 1.0' in lines
    assert lines[-1] == f"kelery_api_queues_left_out {1001 - QUEUES_AT_MOST}.0"


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "x" * 254])
def test_a_name_that_cannot_be_a_label_does_not_break_the_metrics(name: str) -> None:
    metrics = Metrics()
    metrics.queues.show([QueueStats(queue=name, queued=1), QueueStats(queue='q"\\')])
    assert 'kelery_api_queue_messages{queue="q\\"\\\\"} 0.0' in shown(metrics)
    assert shown(metrics)[-1] == "kelery_api_queues_left_out 1.0"
