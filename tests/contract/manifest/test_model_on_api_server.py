"""The real API server stores rendered manifests unchanged, and the model reads them back correctly."""

import json
from typing import Any

import pytest

from kelery.json_codec import INLINE_BYTES, MAX_INLINE_DEPTH, compact
from kelery.run.model import Record, RunSpec
from kelery.run.phases import Reason
from kelery.taskrun import status
from kelery.taskrun.spec import parse_spec, render_spec
from kelery_operator.taskrun.snapshot import snapshot_of
from tests.contract.manifest.taskruns_over_http import TaskRuns
from tests.contract.manifest.test_spec_matches_crd import FULL
from tests.contract.manifest.test_status_matches_crd import ATTEMPT, RECORDS
from tests.support.sample_records import failed, succeeded

HOSTILE = "é\x00\x1b[31m\r\n\u202e\ud800\U0001f600" * 5000
NESTED = "[" * MAX_INLINE_DEPTH + "]" * MAX_INLINE_DEPTH
RESULTS = ["null", "[null,{}]", str(2**63 - 1), str(-(2**63)), "1.5e300", '"\\u0000\\ud800"', NESTED]


def test_every_status_that_a_record_gives_is_kept_whole(taskruns: TaskRuns) -> None:
    name = taskruns.create({"task": "demo.add"})["metadata"]["name"]
    for record in RECORDS:
        _write_and_compare(taskruns, name=name, record=record)


@pytest.mark.parametrize("result", RESULTS, ids=lambda text: text[:20])
def test_every_result_that_is_shown_is_kept_as_it_is(taskruns: TaskRuns, result: str) -> None:
    name = taskruns.create({"task": "demo.add"})["metadata"]["name"]
    kept = _write_and_compare(taskruns, name=name, record=succeeded(result))
    assert "value" in kept["result"]


def test_a_status_at_all_its_bounds_is_taken(taskruns: TaskRuns) -> None:
    name = taskruns.create({"task": "demo.add"})["metadata"]["name"]
    told = {"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE, "current": 1e300, "total": 2**80}
    record = failed(
        Reason.TASK_ERROR,
        worker=HOSTILE,
        queue=HOSTILE,
        progress_json=compact(told),
        error_json=compact(told),
        attempts=(ATTEMPT,) * 9,
        held_by=(HOSTILE,) * 9,
        fence=2**62,
    )
    assert taskruns.write_status(name, status=status.render(record, previous={})).status == 200
    large = succeeded(json.dumps("x" * (INLINE_BYTES - 2)), progress_json=compact(told))
    _write_and_compare(taskruns, name=name, record=large)


def test_the_spec_that_the_api_server_keeps_is_the_one_that_was_meant(taskruns: TaskRuns) -> None:
    without_cancel = {field: value for field, value in FULL.items() if field != "cancel"}
    for spec in (
        without_cancel,
        {"task": "demo.add"},
        {"task": "t", "concurrency": {"key": "k"}, "queue": None},
    ):
        kept = snapshot_of(taskruns.create(spec))
        assert kept.spec == parse_spec(spec)
        assert (kept.generation, kept.who.namespace, kept.created.year > 2020) == (
            1,
            taskruns.namespace,
            True,
        )


def test_a_rendered_spec_is_accepted_and_not_changed(taskruns: TaskRuns) -> None:
    for spec in (parse_spec(FULL), RunSpec(task="demo.add")):
        kept = taskruns.try_create(render_spec(spec))
        assert kept.status == 201, kept.message
        assert kept.body["spec"] == render_spec(spec)


def _write_and_compare(taskruns: TaskRuns, *, name: str, record: Record) -> dict[str, Any]:
    rendered = status.render(record, previous={})
    answer = taskruns.write_status(name, status=rendered)
    assert answer.status == 200, answer.message
    kept = taskruns.get(name)["status"]
    assert isinstance(kept, dict)
    assert kept == json.loads(json.dumps(rendered).replace("\\ud800", "\\ufffd"))
    # A stored object renders to the same again, so nothing is written twice.
    assert status.render(record, previous=kept) == rendered
    return kept
