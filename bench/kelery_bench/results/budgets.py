"""The limits that CI holds the ratios to, from a TOML file; generous, for CI measures little.

A table for each figure, `["case".figure]`, with `at_most` or `at_least`, and beside it what a whole
benchmark `measured` and its `spread`, so that one sees how much room a limit leaves.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelery_bench.results.bounds import Bound
from kelery_bench.results.results import Result
from kelery_dev.errors import DevError


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limit of one figure's ratio."""

    case: str
    figure: str
    limit: Bound
    measured: float
    spread: tuple[float, float]

    @property
    def name(self) -> tuple[str, str]:
        """Case and figure."""
        return self.case, self.figure


def load_budgets(file: Path) -> list[Budget]:
    """All of the file's."""
    try:
        content = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DevError(f"cannot read the budgets {file}: {error}") from error
    budgets = []
    for case, figures in content.items():
        if not isinstance(figures, Mapping):
            raise DevError(f'{file}: {case} is no table; write ["case".figure]')
        budgets += [_budget(case, figure, entry, file=file) for figure, entry in figures.items()]
    return budgets


def overruns(budgets: Sequence[Budget], results: Sequence[Result]) -> list[str]:
    """A sentence for each limit that is not kept, or whose figure was not measured."""
    found = {result.name: result.comparison for result in results}
    said = []
    for budget in budgets:
        comparison = found.get(budget.name)
        where = f"{budget.case} {budget.figure}"
        if comparison is None:
            said.append(f"{where}: not measured")
        elif not budget.limit.holds(comparison.ratio):
            rounds = ", ".join(f"{ratio:.2f}" for ratio in comparison.ratios)
            said.append(
                f"{where}: {comparison.ratio:.2f} (rounds: {rounds}) is not {budget.limit};"
                f" {budget.measured:.2f} was measured for the budget"
            )
    return said


def _budget(case: str, figure: str, entry: Mapping[str, Any], *, file: Path) -> Budget:
    try:
        least, most = entry["spread"]
        return Budget(
            case=case,
            figure=figure,
            limit=Bound(at_most=entry.get("at_most"), at_least=entry.get("at_least")),
            measured=float(entry["measured"]),
            spread=(float(least), float(most)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DevError(f"{file}: the budget {case} {figure} is not usable: {error}") from error
