"""The chart's README and the values reference are generated from values.yaml, which describes each value."""

from __future__ import annotations

from pathlib import Path

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


def test_the_documents_fit_the_values() -> None:
    assert chart_readme.main(["--check"]) == 0


def test_the_readme_and_the_reference_show_the_same_table() -> None:
    readme, reference = (document.read_text() for document in chart_readme.DOCUMENTS)
    table = chart_readme.table(chart_readme.values_of((chart_readme.CHART / "values.yaml").read_text()))
    assert table in readme
    assert table in reference


@pytest.mark.parametrize("name", ["README.md", "values.md"])
def test_a_check_names_the_document_that_is_out_of_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    copies = [tmp_path / document.name for document in chart_readme.DOCUMENTS]
    for document, copy in zip(chart_readme.DOCUMENTS, copies, strict=True):
        copy.write_text(document.read_text())
    outdated = tmp_path / name
    outdated.write_text(outdated.read_text().replace("| `defaultQueue` |", "| `defaultQueues` |"))

    assert chart_readme.main(["--check"], documents=copies) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{outdated} is out of date")

    assert chart_readme.main([], documents=copies) == 0
    assert chart_readme.main(["--check"], documents=copies) == 0


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    outdated = tmp_path / "values.md"
    outdated.write_text(chart_readme.DOCUMENTS[1].read_text().replace("| `defaultQueue` |", "| `other` |"))
    before = outdated.read_text()

    assert chart_readme.main(["--check"], documents=[outdated]) == 1
    assert outdated.read_text() == before


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


def test_another_default_makes_another_table() -> None:
    readme = (chart_readme.CHART / "README.md").read_text()
    values = (chart_readme.CHART / "values.yaml").read_text()

    changed = chart_readme.with_table(
        readme, values=values.replace("defaultQueue: celery", "defaultQueue: other")
    )

    assert chart_readme.with_table(readme, values=values) == readme
    assert '| `defaultQueue` | `"other"` |' in changed


def test_a_document_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        chart_readme.with_table("# A chart\n", values=_VALUES)
