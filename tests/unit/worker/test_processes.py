"""Which processes belong to a run, with made-up process tables."""

from __future__ import annotations

import pytest

from kelery_worker.runs import processes
from kelery_worker.runs.processes import Process

CHILD, SINCE = 100, 50


def process(pid: int, *, parent: int = CHILD, group: int = CHILD, started: int = 60) -> Process:
    return Process(pid=pid, parent=parent, group=group, started=started, is_zombie=False)


def the_child() -> Process:
    return process(CHILD, parent=1, started=10)


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    monkeypatch.setattr(processes, "_environment", lambda pid: found.get(pid, b""))
    return found


def belonging(monkeypatch: pytest.MonkeyPatch, *table: Process, until: int | None = None) -> set[int]:
    monkeypatch.setattr(processes, "table", lambda: list(table))
    return processes.belonging(marker="n:u:1", child=CHILD, since=SINCE, until=until, remembered=set())


def test_a_fork_of_the_task_belongs_to_it_and_its_child_process_does_not(
    monkeypatch: pytest.MonkeyPatch, environments: dict[int, bytes]
) -> None:
    assert belonging(monkeypatch, the_child(), process(200), process(201, parent=200)) == {200, 201}


def test_what_an_earlier_task_left_does_not_nor_what_that_starts_now(
    monkeypatch: pytest.MonkeyPatch, environments: dict[int, bytes]
) -> None:
    left = process(200, parent=1, started=40)
    assert belonging(monkeypatch, the_child(), left, process(201, parent=200, started=70)) == set()
    monkeypatch.setattr(
        processes, "table", lambda: [the_child(), process(200, started=40), process(201, parent=200)]
    )
    assert processes.below(CHILD, since=SINCE) == set()


def test_what_the_next_task_starts_does_not(
    monkeypatch: pytest.MonkeyPatch, environments: dict[int, bytes]
) -> None:
    assert belonging(
        monkeypatch, the_child(), process(200, started=60), process(201, started=80), until=80
    ) == {200}


def test_a_marker_tells_wherever_the_process_is_and_only_the_whole_marker(
    monkeypatch: pytest.MonkeyPatch, environments: dict[int, bytes]
) -> None:
    environments[300] = b"PATH=/bin\0KELERY_RUN=n:u:1\0"
    environments[301] = b"KELERY_RUN=n:u:12\0"
    far = {"parent": 1, "group": 7}
    table = (the_child(), process(300, **far), process(301, **far), process(302, **far))
    assert belonging(monkeypatch, *table) == {300}


def test_a_process_in_the_childs_group_that_another_run_started_does_not(
    monkeypatch: pytest.MonkeyPatch, environments: dict[int, bytes]
) -> None:
    environments[200] = b"KELERY_RUN=n:other:5\0"
    assert belonging(monkeypatch, the_child(), process(200)) == set()
