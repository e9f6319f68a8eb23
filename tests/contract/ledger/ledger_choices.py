"""What the state machine draws from: small worlds, so that runs meet each other often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from kelery.ledger.types import OnlyIf, Outcome
from kelery.run.model import Concurrency, Policy, Retry, RunSpec
from kelery.run.phases import RETRYABLE_REASONS, Reason
from kelery.run.run_message import RunMessage
from tests.contract.ledger.ledger_facts import HEAD_END

T = TypeVar("T")

KEYS = ("a", "a", "a", "b")
WORKERS = ("w1", "w2")
NONCES = ("n1", "n2")

CONCURRENCY = st.builds(
    Concurrency,
    key=st.sampled_from(KEYS),
    limit=st.integers(1, 3),
    policy=st.sampled_from([Policy.QUEUE, *Policy]),
    max_queue_seconds=st.sampled_from([None, 3600]),
)
SPECS = st.builds(
    RunSpec,
    task=st.just("demo.add"),
    priority=st.integers(-1, 1),
    concurrency=st.one_of(CONCURRENCY, CONCURRENCY, CONCURRENCY, st.none()),
    retry=st.none()
    | st.builds(
        Retry,
        max_attempts=st.integers(1, 3),
        backoff_seconds=st.sampled_from([0, 3600]),
        max_backoff_seconds=st.sampled_from([5000, 9000]),
        reasons=st.sampled_from([RETRYABLE_REASONS, (Reason.TASK_ERROR,), (Reason.WORKER_LOST,)]),
    ),
)
#: Needs a key alone.
RIVALS = st.builds(
    RunSpec,
    task=st.just("demo.add"),
    priority=st.integers(-1, 1),
    concurrency=st.builds(Concurrency, key=st.just(KEYS[0]), policy=st.sampled_from(Policy)),
)
#: Takes the free slots, next to others.
MODEST = st.builds(
    RunSpec,
    task=st.just("demo.add"),
    concurrency=st.builds(Concurrency, key=st.just(KEYS[0]), limit=st.just(3)),
)
FAILURES = st.builds(
    Outcome,
    kind=st.just("failed"),
    reason=st.sampled_from([*RETRYABLE_REASONS, Reason.TASK_NOT_REGISTERED]),
    error_json=st.just("{}"),
)
RETRIES = st.builds(
    Outcome,
    kind=st.just("retry"),
    reason=st.just(Reason.TASK_ERROR),
    # None: it continues from its current message.
    run_message=st.sampled_from(["second", "third"]).map(
        lambda w: RunMessage(head=w + HEAD_END, tail=HEAD_END)
    )
    | st.none(),
    delay_seconds=st.sampled_from([0, 3600]),
)
SUCCESSES = st.builds(Outcome, kind=st.just("succeeded"), result_json=st.sampled_from(["1", "null"]))
OUTCOMES = SUCCESSES | FAILURES | RETRIES
#: Most runs are not born final.
BORN = st.sampled_from(
    [None] * 8 + [Reason.CANCELLED_AT_CREATE, Reason.CANCELLED_BY_USER, Reason.SPEC_TOO_LARGE]
)
#: "": the run's uid, like a run without a name. Another run may still have this name.
NAMES = st.sampled_from(["", "", "", "report", "report", "audit", "run-1"])
ORIGINS = st.sampled_from(["TaskRun", "REST"])
CONDITIONS = st.sampled_from([(OnlyIf.ROOM,), (OnlyIf.FREE_NAME,), (OnlyIf.FREE_NAME, OnlyIf.ROOM)])
STOP_MESSAGES = st.sampled_from(["", "wrong input", "too late"])
STOP_REASONS = st.sampled_from([Reason.CANCELLED_BY_USER, Reason.DELETED])
#: The calls that a worker may still make for a run that it has lost.
LATE_WORDS = st.sampled_from(["settle", "start", "stage", "handback", "progress", "renew"])


def one_of(choices: Callable[[Any], list[T]]) -> st.SearchStrategy[T]:
    """One of the values that the machine can act on now. The rule's precondition ensures that one exists."""
    return st.runner().flatmap(lambda machine: st.sampled_from(choices(machine)))


def some_of(choices: Callable[[Any], list[T]]) -> st.SearchStrategy[list[T]]:
    """Some of them, in any order; perhaps none."""
    return st.runner().flatmap(
        lambda machine: (
            st.lists(st.sampled_from(choices(machine)), unique=True) if choices(machine) else st.just([])
        )
    )
