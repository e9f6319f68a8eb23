"""`make demo` as a process: every example ends as described, both APIs show the same runs, a wrong end is
named, and nothing is left.
"""

import datetime
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kelery_dev.demo.demo import EXAMPLES
from kelery_dev.demo.examples import load_examples
from tests.support.marked_processes import Marked
from tests.support.polling import poll_until
from tests.support.typed_documents import ROOT

RUN = """\
apiVersion: kelery.dev/v1alpha1
kind: TaskRun
metadata:
  name: {name}
  annotations:
    kelery.dev/expect: {expect}
spec:
  task: {task}
  args: [{argument}]
"""


class RunningDemo:
    """One `python -m kelery_dev.demo` and what it prints."""

    def __init__(self, *paths: Path, folder: Path, environment: dict[str, str]) -> None:
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kelery_dev.demo", *map(str, paths)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def everything(self) -> str:
        return self.out + self.err

    def wait_for(self, text: str) -> None:
        poll_until(lambda: text in self.out, seconds=60, what=repr(text), state=self.everything)


@pytest.fixture
def demos() -> Iterator[list[RunningDemo]]:
    """The demos that a test started. They are killed after the test."""
    started: list[RunningDemo] = []
    yield started
    for demo in started:
        demo.process.kill()
        demo.process.wait()


def table(text: str) -> dict[str, list[str]]:
    """The words of each row of the final table, by run name."""
    lines = text.partition("NAME ")[2].splitlines()[1:]
    rows = lines[: lines.index("")]
    return {row.split()[0]: row.split()[1:] for row in rows}


def test_every_example_ends_as_it_says_and_nothing_is_left(
    demos: list[RunningDemo], environment: dict[str, str], marked: Marked, tmp_path: Path
) -> None:
    demos.append(demo := RunningDemo(folder=tmp_path, environment=environment))
    assert demo.process.wait(timeout=90) == 0, demo.everything()
    assert marked.names() == []
    assert list((tmp_path / "temporary").iterdir()) == []

    rows = table(demo.out)
    runs = [run for example in load_examples([EXAMPLES]) for run in example.runs]
    assert set(rows) == {run.name for run in runs}
    for run in runs:
        assert rows[run.name][0] == run.phase.value, demo.out
        assert run.reason in (rows[run.name][1], ""), demo.out
    assert "report/tenant-7  3 runs, limit 1, at most 1 at once" in demo.out
    assert "held by exclusive-1" in demo.out
    assert '$ kubectl patch taskrun cancel --type merge -p \'{"spec":{"cancel":"Graceful"}}\'' in demo.out
    refused = re.search(r"^409  a run of this key is .*; id (\S+)$", demo.out, re.M)
    assert refused
    assert f'{{"id": "{refused[1]}", "status": "REVOKED", "result": null}}' in demo.out
    assert "with-kubectl: Waiting/WaitingForKey, held by with-curl" in demo.out
    assert "with-curl: Cancelled/Superseded" in demo.out
    assert "with-curl: Waiting/WaitingForKey, held by takes-over" in demo.out
    assert "finished  Succeeded/Completed, result 3" in demo.out
    written = Path(json.loads(rows["write-timestamp"][2]))
    assert datetime.datetime.fromisoformat(written.read_text().strip())
    written.unlink()
    # The output fits a narrow terminal, and has no escape codes because stdout is no terminal.
    assert max(map(len, demo.out.splitlines())) <= 100
    assert "\x1b" not in demo.out


def test_a_run_that_ends_otherwise_is_named_and_the_logs_are_kept(
    demos: list[RunningDemo], environment: dict[str, str], marked: Marked, tmp_path: Path
) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    right = RUN.format(name="right", expect="Succeeded", task="demo.hello", argument="Ann")
    wrong = RUN.format(name="wrong", expect="Failed/TaskError", task="demo.hello", argument="Bob")
    (folder / "1.yaml").write_text(right)
    (folder / "2.yaml").write_text(wrong)
    demos.append(demo := RunningDemo(folder, folder=tmp_path, environment=environment))
    assert demo.process.wait(timeout=90) == 1, demo.everything()
    assert marked.names() == []
    assert set(table(demo.out)) == {"right", "wrong"}
    assert "Over HTTP" not in demo.out
    sentence, where = demo.err.splitlines()
    assert sentence == "kelery: wrong ended as Succeeded/Completed (expected Failed/TaskError)."
    logs = Path(where.removeprefix("The logs are in ").removesuffix("."))
    assert "demo.hello" in (logs / "worker.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(
    number: signal.Signals,
    demos: list[RunningDemo],
    environment: dict[str, str],
    marked: Marked,
    tmp_path: Path,
) -> None:
    example = tmp_path / "long.yaml"
    example.write_text(RUN.format(name="long", expect="Succeeded", task="demo.sleep", argument="60"))
    demos.append(demo := RunningDemo(example, folder=tmp_path, environment=environment))
    demo.wait_for("Running")
    demo.process.send_signal(number)
    assert demo.process.wait(timeout=20) == 130, demo.everything()
    assert "interrupted; nothing is left running" in demo.out
    assert marked.names() == []
    assert list((tmp_path / "temporary").iterdir()) == []
