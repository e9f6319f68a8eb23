"""The demo's judgement: what an example expects, whether a run ended so, how many ran at once. No stack."""

from pathlib import Path
from typing import Any

import pytest

from kelery.run.model import CancelMode
from kelery.run.phases import Phase
from kelery_dev.demo.examples import ExampleRun, load_examples
from kelery_dev.demo.kubectl import split_events
from kelery_dev.demo.screen import Screen
from kelery_dev.demo.verdict import key_uses, problem
from kelery_dev.errors import DevError

MANIFEST = """\
apiVersion: kelery.dev/v1alpha1
kind: TaskRun
metadata:
  name: one
  annotations: {annotations}
spec: {{task: demo.add, concurrency: {{key: k, limit: 2}}}}
"""


def load(folder: Path, annotations: str) -> ExampleRun:
    file = folder / "example.yaml"
    file.write_text(MANIFEST.format(annotations=annotations))
    [example] = load_examples([folder])
    [run] = example.runs
    return run


def test_an_example_says_how_it_ends(tmp_path: Path) -> None:
    run = load(
        tmp_path,
        "{kelery.dev/expect: Cancelled/CancelledByUser, kelery.dev/expect-result: '[1, 2]',"
        " kelery.dev/demo-cancel: Force, kelery.dev/demo-until: Running}",
    )
    assert run == ExampleRun(
        name="one",
        phase=Phase.CANCELLED,
        reason="CancelledByUser",
        result="[1, 2]",
        cancel=CancelMode.FORCE,
        until=Phase.RUNNING,
        key="k",
        limit=2,
    )


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ("{}", "kelery.dev/expect"),
        ("{kelery.dev/expect: Done}", "kelery.dev/expect='Done'"),
        ("{kelery.dev/expect: Running}", "not a final phase"),
        ("{kelery.dev/expect: Failed, kelery.dev/demo-cancel: Kindly}", "kelery.dev/demo-cancel='Kindly'"),
        (
            "{kelery.dev/expect: Succeeded, kelery.dev/expect-result: three}",
            "kelery.dev/expect-result='three'",
        ),
    ],
)
def test_an_example_that_does_not_say_it_is_refused_by_the_annotation(
    annotations: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(DevError, match="one") as refusal:
        load(tmp_path, annotations)
    assert named in str(refusal.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="found no examples"):
        load_examples([tmp_path])


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({}, "one has no status"),
        (
            {"phase": "Waiting", "reason": "WaitingForKey"},
            "one did not end in time: it is Waiting/WaitingForKey",
        ),
        (
            {"phase": "Failed", "reason": "Timeout"},
            "one ended as Failed/Timeout (expected Succeeded/Completed)",
        ),
        (
            {"phase": "Succeeded", "reason": "Odd"},
            "one ended as Succeeded/Odd (expected Succeeded/Completed)",
        ),
        (
            {"phase": "Succeeded", "reason": "Completed", "result": {"value": None}},
            "one returned null (expected 3)",
        ),
    ],
)
def test_a_run_that_ended_otherwise_is_a_problem(status: dict[str, Any], told: str) -> None:
    run = ExampleRun(name="one", phase=Phase.SUCCEEDED, reason="Completed", result="3")
    found = problem(run, status=status)
    assert found is not None
    assert told in found


def test_a_run_that_ended_as_expected_is_none() -> None:
    run = ExampleRun(name="one", phase=Phase.SUCCEEDED, result="3")
    assert problem(run, status={"phase": "Succeeded", "reason": "Completed", "result": {"value": 3}}) is None


def test_overlapping_runs_of_a_key_are_counted_and_a_hand_over_is_no_overlap() -> None:
    runs = [ExampleRun(name=name, phase=Phase.SUCCEEDED, key="k") for name in ("a", "b", "c")]
    times = {"a": ("10:00:00", "10:00:02"), "b": ("10:00:02", "10:00:04"), "c": ("10:00:03", "10:00:05")}
    statuses = {
        name: {"attempts": [{"started": start, "finished": end}]} for name, (start, end) in times.items()
    }
    [use] = key_uses(runs, statuses=statuses)
    assert (use.runs, use.limit, use.most_at_once) == (3, 1, 2)
    del statuses["c"]
    [use] = key_uses(runs, statuses=statuses)
    assert use.most_at_once == 1


def test_a_stream_of_objects_is_split_wherever_it_is_cut() -> None:
    text = '{"type": "ADDED",\n "object": {"a": "}"}}\n{"type": "MODIFIED"}\n'
    for cut in range(len(text)):
        first, rest = split_events(text[:cut])
        second, left = split_events(rest + text[cut:])
        assert [event["type"] for event in first + second] == ["ADDED", "MODIFIED"]
        assert left == ""


def test_no_line_about_a_run_is_wider_than_the_screen_or_broken() -> None:
    lines: list[str] = []
    screen = Screen(write=lines.append, colours=False)
    status = {
        "phase": "Failed",
        "reason": "TaskError",
        "error": {"type": "ValueError", "message": "x\n" * 200},
    }
    screen.change("a-run", status=status)
    screen.table([("a-run", status)])
    assert max(map(len, lines)) <= 100
    assert not any("\n" in line for line in lines)
