"""The benchmark's smoke test: its quick cases with generous limits, ratios only.

`make bench` measures the same with more and longer rounds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kelery_bench.results import report
from kelery_bench.results.budgets import Budget, load_budgets, overruns
from kelery_bench.results.goals import GOALS
from kelery_bench.results.results import Result
from kelery_bench.run import GROUPS, measure
from kelery_bench.size import Size
from kelery_dev.control_plane.binaries import Binaries

BUDGETS = load_budgets(Path(__file__).with_name("budgets.toml"))


@pytest.fixture(scope="module")
def results(control_plane_binaries: Binaries) -> list[Result]:
    """All quick cases, measured once."""
    found = measure(GROUPS, size=Size.QUICK, binaries=control_plane_binaries, rounds=None, report=print)
    print(report.table(found))
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: f"{budget.case}-{budget.figure}")
def test_a_ratio_keeps_to_its_budget(results: list[Result], budget: Budget) -> None:
    assert overruns([budget], results) == []


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: f"{budget.case}-{budget.figure}")
def test_a_limit_is_looser_than_what_was_measured(budget: Budget) -> None:
    assert budget.limit.holds(budget.measured)
    least, most = budget.spread
    assert least <= budget.measured <= most


def test_a_limit_is_on_the_side_of_its_goal() -> None:
    """A limit on the other side would never fail."""
    for budget in BUDGETS:
        goal = GOALS[budget.name]
        assert budget.limit.at_most is None or goal.at_most is not None, budget.name
        assert budget.limit.at_least is None or goal.at_least is not None, budget.name
