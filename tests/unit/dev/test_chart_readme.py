"""The chart's README and the values reference are generated from values.yaml, which describes each value."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelery_dev.documents import __main__ as documents
from kelery_dev.documents import values as chart_values
from kelery_dev.documents.parts import with_parts

DOCUMENTS = (chart_values.CHART / "README.md", documents.REFERENCE / "values.md")

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
    assert documents.main(["--check"]) == 0


def test_the_readme_and_the_reference_show_the_same_table() -> None:
    readme, reference = (document.read_text() for document in DOCUMENTS)
    table = chart_values.table(chart_values.values_of((chart_values.CHART / "values.yaml").read_text()))
    assert table in readme
    assert table in reference


@pytest.mark.parametrize("name", ["README.md", "values.md"])
def test_a_check_names_the_document_that_is_out_of_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    copies = [tmp_path / document.name for document in DOCUMENTS]
    generated = dict.fromkeys(copies, chart_values.parts)
    for document, copy in zip(DOCUMENTS, copies, strict=True):
        copy.write_text(document.read_text())
    outdated = tmp_path / name
    outdated.write_text(outdated.read_text().replace("| `defaultQueue` |", "| `defaultQueues` |"))

    assert documents.main(["--check"], generated=generated) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{outdated} is out of date")

    assert documents.main([], generated=generated) == 0
    assert documents.main(["--check"], generated=generated) == 0


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    outdated = tmp_path / "values.md"
    outdated.write_text(DOCUMENTS[1].read_text().replace("| `defaultQueue` |", "| `other` |"))
    before = outdated.read_text()

    assert documents.main(["--check"], generated={outdated: chart_values.parts}) == 1
    assert outdated.read_text() == before


def test_a_value_is_shown_with_its_path_default_and_meaning() -> None:
    shown = chart_values.table(chart_values.values_of(_VALUES)).splitlines()

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
    with pytest.raises(chart_values.Undocumented, match=r"registry|replicas"):
        chart_values.values_of(_VALUES.replace(comment, ""))


def test_a_comment_with_an_empty_line_below_it_belongs_to_nothing() -> None:
    with pytest.raises(chart_values.Undocumented, match="replicas"):
        chart_values.values_of(_VALUES.replace("# -- How many.\n", "# -- How many.\n\n"))


def test_another_default_makes_another_table() -> None:
    readme = (chart_values.CHART / "README.md").read_text()
    values = (chart_values.CHART / "values.yaml").read_text()

    def shown(text: str) -> str:
        return with_parts(readme, parts={"values": chart_values.table(chart_values.values_of(text))})

    changed = shown(values.replace("defaultQueue: celery", "defaultQueue: other"))

    assert shown(values) == readme
    assert '| `defaultQueue` | `"other"` |' in changed


def test_a_document_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        with_parts("# A chart\n", parts={"values": "new"})
