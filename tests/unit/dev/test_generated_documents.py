"""Every phase and reason has a text, and the generated documents are up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kelery.run.phases import FINAL_PHASES, Phase, Reason
from kelery.taskrun.crd import chart_files
from kelery.taskrun.reasons import CONDITION_TEXTS, PHASE_TEXTS, REASON_TEXTS, ReasonText
from kelery_dev.documents import __main__ as documents
from kelery_dev.documents import reasons, taskrun_fields
from kelery_dev.documents.parts import begin, end, table, with_parts


def test_the_documents_are_up_to_date() -> None:
    assert documents.main(["--check"]) == 0


def test_a_stale_document_is_found_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "taskrun.md"
    document.write_text(f"before\n{begin('columns')}\nold\n{end('columns')}\nafter\n")
    generated = {document: lambda: {"columns": "new"}}

    assert documents.main(["--check"], generated=generated) == 1
    assert "taskrun.md is out of date" in capsys.readouterr().err
    assert documents.main([], generated=generated) == 0
    assert document.read_text() == f"before\n{begin('columns')}\n\nnew\n\n{end('columns')}\nafter\n"
    assert documents.main(["--check"], generated=generated) == 0


def test_a_document_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        with_parts("# TaskRun\n", parts={"columns": "new"})


def test_a_cell_keeps_its_bar() -> None:
    assert table(["a"], [["b|c"]]) == "| a |\n| --- |\n| b\\|c |"


def test_every_phase_and_every_reason_has_a_text() -> None:
    assert set(PHASE_TEXTS) == set(Phase)
    assert set(REASON_TEXTS) == set(Reason)
    assert not set(CONDITION_TEXTS) & {reason.value for reason in Reason}


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_reason_that_explains_it(phase: Phase) -> None:
    assert [reason for reason, text in REASON_TEXTS.items() if phase in text.phases]


@pytest.mark.parametrize("text", [*REASON_TEXTS.values(), *CONDITION_TEXTS.values()], ids=lambda t: t.meaning)
def test_a_text_is_whole_sentences(text: ReasonText) -> None:
    for part in (text.meaning, text.cause, text.remedy):
        assert part == " ".join(part.split())
        assert part.endswith(".") or not part
        assert part.count("`") % 2 == 0
    assert text.meaning
    assert text.cause


def test_a_failure_has_a_remedy() -> None:
    failed = {reason: text for reason, text in REASON_TEXTS.items() if text.phases == (Phase.FAILED,)}
    assert [reason for reason, text in failed.items() if not text.remedy] == []


def test_a_message_names_the_queue_in_plain_text() -> None:
    message = REASON_TEXTS[Reason.WAITING_FOR_WORKER].message(queue="reports")
    assert message.startswith("The run waits for a worker of queue reports. ")
    assert "`" not in REASON_TEXTS[Reason.SPEC_INVALID].message(queue="")


def test_a_reason_has_a_heading_that_links_lead_to() -> None:
    parts = reasons.parts()
    assert "[`WorkerLost`](#workerlost)" in parts["reasons"]
    assert "\n### WorkerLost\n" in parts["causes and remedies"]
    assert parts["phases"].count("none: final") == len(FINAL_PHASES)


def test_a_description_of_the_spec_states_the_bounds() -> None:
    for path, field in _spec_fields():
        if (
            field["type"] in ("integer", "string")
            and "enum" not in field
            and path != "ttlSecondsAfterFinished"
        ):
            assert taskrun_fields.bounds(field) in field["description"], path


def test_the_table_of_fields_does_not_repeat_the_bounds() -> None:
    [row] = [row for row in taskrun_fields.parts()["fields of the spec"].splitlines() if "`priority`" in row]
    assert row.count("-1000 to 1000") == 1


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 86400}, "1 to 86400 (1 day)"),
        ({"type": "integer", "minimum": 0}, "at least 0"),
        ({"type": "string", "enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "string", "format": "date-time", "maxLength": 40}, ""),
        ({"type": "array", "maxItems": 5, "items": {}}, "at most 5 items"),
        ({"type": "object"}, ""),
    ],
)
def test_bounds_are_those_of_the_schema(schema: dict[str, Any], expected: str) -> None:
    assert taskrun_fields.bounds(schema) == expected


def _spec_fields() -> Iterator[tuple[str, Any]]:
    crd = yaml.safe_load((chart_files() / "crds" / "taskruns.kelery.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return ((path, field) for path, field, _ in taskrun_fields.leaves(schema))
