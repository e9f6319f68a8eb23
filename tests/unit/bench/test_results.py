"""What the benchmark derives from its measurements: ratios, goals, budgets, the table and the plot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery_bench.case import Case, Comparison, Figures, compare
from kelery_bench.results import plot, report
from kelery_bench.results.bounds import Bound, at_least, at_most, within
from kelery_bench.results.budgets import load_budgets, overruns
from kelery_bench.results.results import Result, results_of
from kelery_bench.run import GROUPS, chosen_groups
from kelery_dev.errors import DevError


def a_case(ours: Callable[[], Figures], theirs: Callable[[], Figures], *, rounds: int = 3) -> Case:
    return Case(
        name="post", title="POST", reference="send_task", unit="ms", ours=ours, theirs=theirs, rounds=rounds
    )


def a_result(*ratios: float, goal: Bound | None = None, case: str = "post", figure: str = "p50") -> Result:
    comparison = Comparison(
        case=case, figure=figure, unit="ms", ours=ratios, theirs=tuple(1.0 for _ in ratios)
    )
    return Result(title="POST <fast>", reference="send_task", comparison=comparison, goal=goal)


def counting(values: Iterator[float], calls: list[str], name: str) -> Callable[[], Figures]:
    def measure() -> Figures:
        calls.append(name)
        return {"p50": next(values)}

    return measure


def test_both_sides_are_measured_in_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    case = a_case(
        counting(iter([900.0, 2.0, 4.0, 9.0]), calls, "ours"),
        counting(iter([1.0, 1.0, 1.0, 3.0]), calls, "theirs"),
    )
    (found,) = compare(case)
    assert calls == ["theirs", "ours", "ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert (found.ours, found.theirs) == ((2.0, 4.0, 9.0), (1.0, 1.0, 3.0))
    assert found.ratios == (2.0, 4.0, 3.0)
    assert found.ratio == 3.0


def test_a_ratio_is_that_of_a_round_and_not_of_medians() -> None:
    found = Comparison(case="a", figure="p50", unit="ms", ours=(1.0, 20.0, 3.0), theirs=(1.0, 10.0, 1.0))
    assert found.ratio == 2.0


@pytest.mark.parametrize(
    ("bound", "held", "missed"),
    [
        (at_most(1.5), (1.0, 1.5), (1.51,)),
        (at_least(0.5), (0.5, 3.0), (0.49,)),
        (within(0.8, 1.25), (0.8, 1.0, 1.25), (0.79, 1.26)),
    ],
)
def test_a_bound_holds_up_to_its_value(
    bound: Bound, held: tuple[float, ...], missed: tuple[float, ...]
) -> None:
    assert all(map(bound.holds, held))
    assert not any(map(bound.holds, missed))


def test_a_bound_has_a_side() -> None:
    with pytest.raises(ValueError, match="at_most"):
        Bound()


def test_a_result_knows_its_goal_by_case_and_figure() -> None:
    case = a_case(lambda: {"p50": 2.0, "p99": 9.0}, lambda: {"p50": 1.0, "p99": 1.0})
    p50, p99 = results_of(case, compare(case), goals={("post", "p50"): at_most(2.5)})
    assert (p50.is_met, p99.is_met) == (True, None)


def test_the_table_shows_spread_ratio_and_goal() -> None:
    shown = report.table(
        [
            a_result(1.0, 2.0, 1234.5, goal=at_most(1.6)),
            a_result(1.0, goal=at_least(0.5), figure="rate"),
            a_result(1.0, figure="p99"),
        ]
    )
    missed, met, without = shown.splitlines()[2:5]
    wanted = "post p50 ms 2.00 (1.00..1,234) 1.00 (1.00..1.00) 2.00 (1.00..1234.50) ≤ 1.60 NO"
    assert " ".join(missed.split()) == wanted
    assert met.endswith("yes")
    assert without.endswith(")")
    assert shown.count("POST <fast>") == 1


def test_the_markdown_table_has_a_line_for_each_result() -> None:
    lines = report.markdown([a_result(2.0, goal=at_most(1.6)), a_result(1.0)]).splitlines()
    assert len(lines) == 4
    assert "≤ 1.60 (missed)" in lines[2]
    assert {line.count("|") for line in lines} == {7}


def test_the_document_is_json_and_has_every_round() -> None:
    written = json.loads(
        json.dumps(report.document([a_result(1.0, 3.0, goal=at_most(1.6))], machine={"cores": "2"}))
    )
    assert written["machine"] == {"cores": "2"}
    (entry,) = written["results"]
    assert (entry["ours"], entry["ratio"], entry["goal"], entry["met"]) == (
        [1.0, 3.0],
        2.0,
        {"at_most": 1.6},
        False,
    )


@pytest.mark.parametrize("ratio", [0.001, 0.5, 1.0, 1.6, 400.0])
def test_the_plot_is_well_formed_and_keeps_inside(ratio: float) -> None:
    drawn = plot.svg([a_result(ratio, goal=within(0.8, 1.6)), a_result(1.0)], caption="a < b")
    root = ElementTree.fromstring(drawn)
    width = float(root.attrib["width"])
    for line in root.iter("{http://www.w3.org/2000/svg}line"):
        assert 0 <= float(line.attrib["x1"]) <= width
        assert 0 <= float(line.attrib["x2"]) <= width
    assert "a < b" in "".join(root.itertext())


BUDGETS = """
["post".p50]
at_most = 2.0
measured = 1.4
spread = [1.3, 1.6]

["post".rate]
at_least = 0.5
measured = 0.8
spread = [0.7, 0.9]
"""


def test_a_limit_that_is_not_kept_or_not_measured_is_said(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(BUDGETS)
    budgets = load_budgets(file)
    assert overruns(budgets, [a_result(2.0), a_result(0.5, figure="rate")]) == []
    assert overruns(budgets, [a_result(2.5, 2.6, 2.4)]) == [
        "post p50: 2.50 (rounds: 2.50, 2.60, 2.40) is not ≤ 2.00; the budget was set with a measured 1.40",
        "post rate: not measured",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "not toml",
        "[post.p50]\nmeasured = 1\nspread = [1, 2]",
        "[post.p50]\nat_most = 1\nmeasured = 1\nspread = [1]",
        "[post.p50]\nat_most = 1\nspread = [1, 2]",
        "post = 3",
        "post.p50 = 3",
    ],
)
def test_a_budget_that_cannot_be_used_is_refused_by_its_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(content)
    with pytest.raises(DevError, match=r"budgets\.toml"):
        load_budgets(file)


def test_groups_are_chosen_by_name_in_the_order_of_the_whole() -> None:
    assert chosen_groups([]) == list(GROUPS)
    assert [group.name for group in chosen_groups(["ledger", "taskrun"])] == ["taskrun", "ledger"]
    with pytest.raises(DevError, match="there is no group speed"):
        chosen_groups(["ledger", "speed"])
