"""The limits of the ratios in CI, from a TOML file; generous, because CI measures few rounds.

Each figure has a table, `["case".figure]`, with `at_most` or `at_least`. It also has the `measured` value of
a whole benchmark and its `spread`, to show how much room the limit leaves.
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
    """The budgets of a file."""
    try:
        content = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DevError(f"cannot read the budgets {file}: {error}") from error
    budgets = []
    for case, figures in content.items():
        if not isinstance(figures, Mapping):
            raise DevError(f'{file}: {case} is not a table: write ["case".figure]')
        budgets += [_budget(case, figure, entry, file=file) for figure, entry in figures.items()]
    return budgets


def overruns(budgets: Sequence[Budget], results: Sequence[Result]) -> list[str]:
    """A sentence for each exceeded limit, and for each figure that was not measured."""
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
                f" the budget was set with a measured {budget.measured:.2f}"
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
        raise DevError(f"{file}: the budget {case} {figure} is invalid: {error}") from error
