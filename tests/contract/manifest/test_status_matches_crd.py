"""The CRD accepts every status that can be rendered, and every field of the CRD's status is rendered."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kelery.json_codec import INLINE_BYTES, compact
from kelery.run.model import Attempt, Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from tests.contract.manifest.crd_schema import fields, part, validator
from tests.support.sample_records import START, admitted, failed, running, succeeded, waiting

STATUS = part("status")
VALIDATOR = validator(STATUS)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: Optional in Kubernetes' type of a condition. Kelery's conditions come from records without a generation.
NOT_OURS = {"conditions[].observedGeneration"}

ATTEMPT = Attempt(
    attempt=1,
    reason="TaskError",
    error_type="ValueError",
    worker="celery@h/1",
    fence=1,
    started=START,
    finished=START,
)
PROGRESS = '{"current": 40, "total": 100, "message": "page 40"}'
ERROR = '{"type": "ValueError", "message": "no", "traceback": "Traceback"}'
RECORDS = [
    waiting(),
    admitted(),
    running(progress_json=PROGRESS, attempt=2, attempts=(ATTEMPT,)),
    succeeded('{"a": null}'),
    succeeded("", result_bytes=INLINE_BYTES + 1),
    *(failed(reason, error_json=ERROR) for reason in Reason),
    running(phase=Phase.CANCELLING, reason=Reason.CANCELLED_BY_USER.value),
]

TEXT = st.text(max_size=30) | st.integers(0, 40_000).map(lambda size: "ü\x07\n" * (size // 3))
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.none() | st.text(max_size=3)
SPOKEN = st.fixed_dictionaries(
    {}, optional={"current": NUMBERS, "total": NUMBERS, "message": TEXT, "type": TEXT, "traceback": TEXT}
)


def test_every_rendered_status_is_one_that_the_crd_takes() -> None:
    for record in RECORDS:
        VALIDATOR.validate(status.render(record, previous={}))
    VALIDATOR.validate(status.render_ledger_lost(status.render(running(), previous={}), now=NOW))
    VALIDATOR.validate(status.render_ledger_lost({}, now=NOW))
    VALIDATOR.validate(status.ledger_unavailable({}, now=NOW))


def test_every_field_of_the_crds_status_is_rendered_by_some_record() -> None:
    rendered = {path for record in RECORDS for path in _paths(status.render(record, previous={}))}
    assert {str(field) for field in fields(STATUS)} - rendered == NOT_OURS


def test_the_phases_are_the_crds() -> None:
    assert STATUS["properties"]["phase"]["enum"] == [phase.value for phase in Phase]


@given(
    base=st.sampled_from(RECORDS),
    names=st.fixed_dictionaries({"worker": TEXT, "queue": TEXT, "reason": st.text(max_size=80)}),
    holders=st.lists(TEXT, max_size=6),
    progress=SPOKEN,
    error=SPOKEN,
    said=st.fixed_dictionaries({"reason": TEXT, "error_type": TEXT, "worker": TEXT}),
)
def test_nothing_that_tasks_or_workers_say_makes_a_status_that_is_refused(
    base: Record,
    names: dict[str, Any],
    holders: list[str],
    progress: dict[str, Any],
    error: dict[str, Any],
    said: dict[str, Any],
) -> None:
    record = replace(
        base,
        **names,
        held_by=tuple(holders),
        progress_json=_text(progress),
        error_json=_text(error),
        attempts=(replace(ATTEMPT, **said),) * 6,
    )
    VALIDATOR.validate(status.render(record, previous={}))


def _text(value: dict[str, Any]) -> str:
    try:
        return compact(value)
    except ValueError:
        return '{"current": NaN}'


def _paths(value: Any, *, path: str = "") -> Iterator[str]:
    """Paths as in the schema, but not below free-form fields."""
    if path == "result.value":
        return
    if isinstance(value, dict):
        for name, below in value.items():
            inside = f"{path}.{name}" if path else name
            yield inside
            yield from _paths(below, path=inside)
    elif isinstance(value, list):
        for item in value:
            yield f"{path}[]"
            yield from _paths(item, path=f"{path}[]")
