"""The examples of the demo: manifests with annotations that state how their runs end.

`kelery.dev/expect` is a final phase, or phase/reason. `kelery.dev/expect-result` is the result as JSON.
`kelery.dev/demo-cancel` makes the demo cancel the run once it is running. `kelery.dev/demo-until` lets the
demo continue before the run has ended. Kelery itself ignores them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kelery.run.model import CancelMode
from kelery.run.phases import FINAL_PHASES, Phase
from kelery_dev.errors import DevError

EXPECT = "kelery.dev/expect"
EXPECT_RESULT = "kelery.dev/expect-result"
CANCEL = "kelery.dev/demo-cancel"
UNTIL = "kelery.dev/demo-until"

Word = TypeVar("Word", Phase, CancelMode)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRun:
    """One TaskRun of an example and its expected end."""

    name: str
    phase: Phase
    #: Empty for any reason.
    reason: str = ""
    #: JSON; None for any result.
    result: str | None = None
    cancel: CancelMode | None = None
    #: The demo continues when the run is in this phase; None: when it has ended.
    until: Phase | None = None
    key: str = ""
    limit: int = 1

    @property
    def expectation(self) -> str:
        """The expected phase, or phase/reason."""
        return f"{self.phase.value}/{self.reason}" if self.reason else self.phase.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One file of examples."""

    file: Path
    runs: tuple[ExampleRun, ...]


def load_examples(paths: Iterable[Path]) -> list[Example]:
    """The examples in files and folders, in the given order; within a folder, by name."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    if not files:
        raise DevError("found no examples: give YAML files of TaskRuns, or a folder with such files")
    examples = [_load(file) for file in files]
    names = [run.name for example in examples for run in example.runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DevError(f"two examples are named {twice[0]}: give each its own metadata.name")
    return examples


def _load(file: Path) -> Example:
    try:
        documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
    except (OSError, yaml.YAMLError) as error:
        raise DevError(f"cannot read the example {file}: {error}") from error
    if not documents:
        raise DevError(f"{file}: the file contains no TaskRun")
    return Example(file=file, runs=tuple(_run(document, file=file) for document in documents))


def _run(document: Any, *, file: Path) -> ExampleRun:
    if not isinstance(document, Mapping) or document.get("kind") != "TaskRun":
        raise DevError(f"{file}: an example may contain only TaskRuns")
    metadata = document.get("metadata") or {}
    notes = metadata.get("annotations") or {}
    where = f"{file}: {metadata.get('name')}"
    phase, _, reason = str(notes.get(EXPECT, "")).partition("/")
    expected = _word(phase, of=Phase, where=where, note=EXPECT)
    if expected not in FINAL_PHASES:
        raise DevError(
            f"{where}: {EXPECT}={phase!r} is not a final phase: give Succeeded, Failed or Cancelled"
        )
    concurrency = (document.get("spec") or {}).get("concurrency") or {}
    return ExampleRun(
        name=str(metadata.get("name")),
        phase=expected,
        reason=reason,
        result=_json(notes.get(EXPECT_RESULT), where=where),
        cancel=_word(notes[CANCEL], of=CancelMode, where=where, note=CANCEL) if CANCEL in notes else None,
        until=_word(notes[UNTIL], of=Phase, where=where, note=UNTIL) if UNTIL in notes else None,
        key=str(concurrency.get("key", "")),
        limit=int(concurrency.get("limit", 1)),
    )


def _word(text: str, *, of: type[Word], where: str, note: str) -> Word:
    try:
        return of(text)
    except ValueError:
        known = ", ".join(member.value for member in of)
        raise DevError(f"{where}: {note}={text!r} is unknown: give one of {known}") from None


def _json(text: Any, *, where: str) -> str | None:
    """The same value in normalized form, for a comparison as text."""
    if text is None:
        return None
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError):
        raise DevError(f"{where}: {EXPECT_RESULT}={text!r} is not JSON") from None
