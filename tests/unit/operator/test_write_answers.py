"""What follows from the answer to a status write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.snapshot import snapshot_of
from kelery_operator.taskrun.status.answers import WriteAnswers
from kelery_operator.taskrun.status_write import Write
from tests.unit.operator.observations import body, met

WRITE = Write(
    who=Identity(uid="uid-1", namespace="default", name="run"), status={}, rev=1, urgency=Urgency.PHASE
)


class NoObject:
    """An API server without the object."""

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return None


@pytest.mark.parametrize(
    ("states", "checks"), [(met("uid-1"), 0), (RunStates(), 1)], ids=["known", "forgotten"]
)
def test_of_a_run_that_was_dealt_with_meanwhile_an_answer_proves_nothing(
    states: RunStates, checks: int
) -> None:
    queue: WorkQueue[str] = WorkQueue()
    looked_for = ExistenceChecks(NoObject(), states=states, queue=queue, metrics=Metrics())
    answers = WriteAnswers(states=states, queue=queue, checks=looked_for)
    answers.status_written(WRITE, snapshot_of(body(version="200")))
    assert len(looked_for) == checks
    assert states.presence("uid-1") is (Presence.UNKNOWN if checks else Presence.PRESENT)
