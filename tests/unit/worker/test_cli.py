"""`kelery worker` passes its settings to the plug-in in the environment."""

from __future__ import annotations

import os
import sys

import pytest
from click.testing import CliRunner

from kelery_worker.cli import worker


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The program that was started, and its environment."""
    started: dict[str, object] = {}

    def execve(path: str, argv: list[str], environ: dict[str, str]) -> None:
        started.update(path=path, argv=argv, environ=environ)

    monkeypatch.setattr(os, "execve", execve)
    return started


def test_flags_become_variables_and_the_rest_is_celerys(started: dict[str, object]) -> None:
    arguments = ["-A", "proj", "--lease-seconds", "30", "--heartbeat-file", "/tmp/beat", "-E"]
    environ = {"KELERY_PREFIX": "mine", "KELERY_LEASE_SECONDS": "45", "KELERY_DRAIN_SECONDS": ""}
    result = CliRunner().invoke(worker, arguments, env=environ, catch_exceptions=False)
    assert result.exit_code == 0
    assert started["path"] == sys.executable
    argv, given = started["argv"], started["environ"]
    assert isinstance(argv, list)
    assert isinstance(given, dict)
    assert argv[:5] == [sys.executable, "-m", "celery", "-A", "proj"]
    assert argv[-1] == "-E"
    assert not {"--lease-seconds", "--heartbeat-file"} & set(argv)
    names = ("KELERY_LEASE_SECONDS", "KELERY_HEARTBEAT_FILE", "KELERY_PREFIX", "KELERY_DRAIN_SECONDS")
    # Settings without a flag stay unchanged.
    assert [given[name] for name in names] == ["30.0", "/tmp/beat", "mine", ""]
    assert given["PATH"] == os.environ["PATH"]


def test_another_pool_is_refused(started: dict[str, object]) -> None:
    result = CliRunner().invoke(worker, ["-A", "proj", "-P", "threads"])
    assert (result.exit_code, started) == (2, {})
    assert "remove -P/--pool" in result.stderr
