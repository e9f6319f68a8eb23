"""A user's app that knows nothing of Kelery, with a copy of the plug-in made by `kelery-inject`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelery import injection
from kelery.run.phases import Phase
from tests.integration.worker.conftest import StartWorker
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until

UNMODIFIED = """
import pathlib, sys, time
from celery import Celery

app = Celery("proj", broker="redis://no-such-host.invalid:6379/0", backend="redis://no-such-host.invalid:6379/0")

@app.task(name="proj.origin")
def origin():
    return [sys.modules[name].__file__ for name in ("kelery", "kelery.ledger.sync_client", "kelery_worker")]

@app.task(name="proj.sleep")
def sleep(seconds):
    pathlib.Path("started").touch()
    time.sleep(seconds)
    return seconds
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    target = tmp_path / "inject"
    injection.inject(target)
    return target


def test_an_unmodified_app_runs_with_the_copied_plug_in(
    probe: LedgerProbe, start_worker: StartWorker, valkey_url: str, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "proj.py").write_text(UNMODIFIED)
    environment = {
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CELERY_BROKER_URL": valkey_url,
        "CELERY_RESULT_BACKEND": valkey_url,
    }
    worker = start_worker(app="proj", env=environment)

    uid = probe.submit("proj.origin")
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    files = [Path(file) for file in probe.result(uid)]
    assert [file for file in files if not file.is_relative_to(tree)] == []

    uid = probe.submit("proj.sleep", 2)
    poll_until((tmp_path / "started").exists, seconds=10, what="the run's start", state=worker.output)
    assert worker.terminate() == 0
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    # Nothing was written to the plug-in's folder, which pods mount read-only.
    assert list(tree.rglob("__pycache__")) == []
