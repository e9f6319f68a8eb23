"""The results as a table for users, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from kelery_bench.results.results import Result, ratio_text

_HEAD = ("case", "figure", "unit", "Kelery", "reference", "ratio", "goal", "met")


def table(results: Sequence[Result]) -> str:
    """The table of medians with spreads, and below it the description of each case."""
    rows = [_HEAD, *(_cells(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    said = {result.comparison.case: (result.title, result.reference) for result in results}
    for case, (title, reference) in said.items():
        lines += ["", f"{case}: {title}", f"{'against':>{len(case)}}: {reference}"]
    return "\n".join(line.rstrip() for line in lines)


def markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table; each line describes its comparison."""
    lines = ["| measurement | reference | Kelery | reference | ratio | goal |", "|---|---|---|---|---|---|"]
    for result in results:
        found = result.comparison
        goal = "" if result.goal is None else f"{result.goal}{'' if result.is_met else ' (missed)'}"
        spread = f"({ratio_text(min(found.ratios))} to {ratio_text(max(found.ratios))})"
        cells = [
            f"{result.title}: {found.figure}",
            result.reference,
            f"{_number(statistics.median(found.ours))} {found.unit}",
            f"{_number(statistics.median(found.theirs))} {found.unit}",
            f"**{ratio_text(found.ratio)}** {spread}",
            goal,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def document(results: Sequence[Result], **about: Any) -> dict[str, Any]:
    """All figures of all rounds; `about` describes machine or cluster."""
    return {**about, "results": [_entry(result) for result in results]}


def _entry(result: Result) -> Mapping[str, Any]:
    found = result.comparison
    bound = dataclasses.asdict(result.goal) if result.goal else {}
    return {
        "case": found.case,
        "figure": found.figure,
        "title": result.title,
        "reference": result.reference,
        "unit": found.unit,
        "ours": list(found.ours),
        "theirs": list(found.theirs),
        "ratios": list(found.ratios),
        "ratio": found.ratio,
        "goal": {name: value for name, value in bound.items() if value is not None} or None,
        "met": result.is_met,
    }


def _cells(result: Result) -> tuple[str, ...]:
    found = result.comparison
    ratios = f"{ratio_text(found.ratio)} ({ratio_text(min(found.ratios))}..{ratio_text(max(found.ratios))})"
    met = {True: "yes", False: "NO", None: ""}[result.is_met]
    goal = str(result.goal or "")
    return (
        found.case,
        found.figure,
        found.unit,
        _spread(found.ours),
        _spread(found.theirs),
        ratios,
        goal,
        met,
    )


def _spread(values: Sequence[float]) -> str:
    return f"{_number(statistics.median(values))} ({_number(min(values))}..{_number(max(values))})"


def _number(value: float) -> str:
    """The number with three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
