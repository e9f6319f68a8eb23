"""Celery's log lines hide args and results of runs; those of plain tasks stay unchanged."""

from __future__ import annotations

import logging

import pytest
import redis

from kelery.ledger import sync_client
from kelery_worker.child import current_run, log_filter
from kelery_worker.child.current_run import CurrentRun

SUCCESS = "Task %(name)s[%(id)s] succeeded in %(runtime)ss: %(return_value)s"


def line(task_id: str) -> logging.LogRecord:
    fields = {
        "id": task_id,
        "name": "t",
        "runtime": 1,
        "return_value": "secret",
        "args": "secret",
        "kwargs": "{}",
    }
    record = logging.LogRecord("celery.app.trace", logging.INFO, "f", 1, SUCCESS, (fields,), None)
    record.data = dict(fields)
    return record


def test_results_of_runs_are_hidden_and_those_of_plain_tasks_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = sync_client.Ledger(redis.Redis(), prefix="kelery")
    run = CurrentRun(uid="run", fence=1, task="t", queue="celery", ledger=ledger)
    monkeypatch.setattr(current_run, "get", lambda: run)
    hide = log_filter.HideRunData()
    of_run, of_task = line("run"), line("task")
    assert hide.filter(of_run)
    assert hide.filter(of_task)
    assert "secret" not in of_run.getMessage()
    assert "secret" not in str(vars(of_run)["data"])
    assert "secret" in of_task.getMessage()
