"""The chart's README is written from values.yaml, and nothing in that is left without a word."""

from __future__ import annotations

import pytest

from kelery_dev.chart import readme as chart_readme

_VALUES = """
# A remark for readers of the file.

# -- How many.
replicas: 2

image:
  # -- Where it comes from,
  # with or without a port.
  registry: ""
  # -- One `a|b` of two.
  tag: "8.1"

# -- Pools by name.
pools:
  first:
    app: x
"""


def test_the_readme_fits_the_values() -> None:
    assert chart_readme.main(["--check"]) == 0


def test_a_value_is_shown_with_its_path_default_and_meaning() -> None:
    shown = chart_readme.table(chart_readme.values_of(_VALUES)).splitlines()

    assert shown[2:] == [
        "| `replicas` | `2` | How many. |",
        '| `image.registry` | `""` | Where it comes from, with or without a port. |',
        '| `image.tag` | `"8.1"` | One `a\\|b` of two. |',
        '| `pools` | `{"first": {"app": "x"}}` | Pools by name. |',
    ]


@pytest.mark.parametrize(
    "comment", ["  # -- Where it comes from,\n  # with or without a port.\n", "# -- How many.\n"]
)
def test_a_value_without_a_comment_is_refused(comment: str) -> None:
    with pytest.raises(chart_readme.Undocumented, match=r"registry|replicas"):
        chart_readme.values_of(_VALUES.replace(comment, ""))


def test_a_comment_with_an_empty_line_below_it_belongs_to_nothing() -> None:
    with pytest.raises(chart_readme.Undocumented, match="replicas"):
        chart_readme.values_of(_VALUES.replace("# -- How many.\n", "# -- How many.\n\n"))


def test_another_default_makes_another_readme() -> None:
    readme = (chart_readme.CHART / "README.md").read_text()
    values = (chart_readme.CHART / "values.yaml").read_text()

    changed = chart_readme.with_table(
        readme, values=values.replace("defaultQueue: celery", "defaultQueue: other")
    )

    assert chart_readme.with_table(readme, values=values) == readme
    assert '| `defaultQueue` | `"other"` |' in changed


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines"):
        chart_readme.with_table("# A chart\n", values=_VALUES)
