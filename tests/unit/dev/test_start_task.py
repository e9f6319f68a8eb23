"""Which task `/start` runs for a user's own app, and which command is shown for it."""

import pytest

from kelery_dev.stack.start_task import OwnTask, start_command, start_task, start_variables

REPORT = OwnTask(name="proj.report", required=("tenant", "day"))
CLEAN = OwnTask(name="proj.clean")
DEMO = OwnTask(name="demo.progress")


@pytest.mark.parametrize(
    ("tasks", "chosen"),
    [
        ([], None),
        ([REPORT], REPORT),
        ([REPORT, CLEAN], CLEAN),
        ([REPORT, CLEAN, DEMO], DEMO),
    ],
)
def test_the_demos_task_then_one_without_arguments_then_the_first_is_chosen(
    tasks: list[OwnTask], chosen: OwnTask | None
) -> None:
    assert start_task(tasks) == chosen


def test_a_task_that_a_person_has_named_stays() -> None:
    assert start_variables(CLEAN, environ={"KELERY_START_TASK": " "}) == {"KELERY_START_TASK": "proj.clean"}
    assert start_variables(CLEAN, environ={"KELERY_START_TASK": "proj.other"}) == {}
    assert start_variables(None, environ={}) == {}


def test_the_command_that_is_shown_has_a_place_for_each_argument_that_must_be_given() -> None:
    url = "http://127.0.0.1:8000"
    assert start_command(url, task=CLEAN) == f"curl {url}/start"
    assert start_command(url, task=None) == f"curl {url}/start"
    assert start_command(url, task=REPORT) == (
        f"""curl -G {url}/start --data-urlencode 'kwargs={{"tenant": "...", "day": "..."}}'"""
    )
