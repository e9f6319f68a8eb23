"""The parts of docs/reference/phases-and-reasons.md, from `kelery.taskrun.reasons`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kelery.run.phases import TRANSITIONS, Phase
from kelery.taskrun.reasons import CONDITION_TEXTS, PHASE_TEXTS, REASON_TEXTS, ReasonText
from kelery_dev.documents.parts import code, table

_SENTENCE_END = re.compile(r"(?<=[.]) (?=[A-Z`])")
_NOTHING_TO_DO = "None is needed."


def parts() -> dict[str, str]:
    """By the names of their marks."""
    texts = {**{reason.value: text for reason, text in REASON_TEXTS.items()}, **CONDITION_TEXTS}
    return {
        "phases": _phases(),
        "reasons": table(
            ("reason", "appears with", "meaning"),
            ((_link(name), _places(text), _plain(text.meaning)) for name, text in texts.items()),
        ),
        "causes and remedies": "\n\n".join(_section(name, text) for name, text in texts.items()),
    }


def _phases() -> str:
    rows = (
        (
            code(phase.value),
            PHASE_TEXTS[phase],
            ", ".join(_link(reason.value) for reason, text in REASON_TEXTS.items() if phase in text.phases),
            ", ".join(code(after.value) for after in Phase if after in TRANSITIONS[phase]) or "none: final",
        )
        for phase in Phase
    )
    return table(("phase", "meaning", "reasons", "next phase"), rows)


def _section(name: str, text: ReasonText) -> str:
    lines = [
        f"### {name}",
        "",
        _plain(text.meaning),
        "",
        *_item("Appears with", f"{_places(text)}."),
        *_item("Cause", _plain(text.cause)),
        *_item("Remedy", _plain(text.remedy or _NOTHING_TO_DO)),
    ]
    return "\n".join(lines)


def _item(title: str, text: str) -> Iterator[str]:
    """One sentence a line."""
    first, *further = _SENTENCE_END.split(text)
    yield f"- {title}: {first}"
    yield from (f"  {sentence}" for sentence in further)


def _places(text: ReasonText) -> str:
    places = [code(phase.value) for phase in text.phases]
    if text.of_attempts:
        places.append("ended attempts")
    return ", ".join(places) or "conditions only"


def _link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})"


def _plain(text: str) -> str:
    return text.replace("{queue}", "its queue")
