"""What the check of the documents' English finds, and what it does not read."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROSE = runpy.run_path(str(ROOT / ".ci" / "prose.py"))


def found(markdown: str) -> list[str]:
    return [
        finding
        for text in PROSE["texts_of_markdown"](markdown, name="some.md")
        for finding in PROSE["findings"](text)
    ]


@pytest.mark.parametrize(
    "dialect",
    [
        "Cancel it by kubectl.",
        "The reason stands in the status.",
        "Who deletes a run cancels it.",
        "The pod has not a token.",
        "The value is to be set.",
        "One run beside the other.",
        "# Kelery has not any queue",
        "| a | b |\n|---|---|\n| one | It takes a token. |",
        "It is stopped for certain.",
        "The operator is told.",
        "A user changes his run.",
    ],
)
def test_a_phrase_of_the_dialect_is_found(dialect: str) -> None:
    assert len(found(dialect)) == 1


@pytest.mark.parametrize(
    "english",
    [
        "Cancel it with kubectl. The reason is in the status. If you delete a run, Kelery cancels it.",
        "A command in code: `the value is to be set by kubectl`.",
        "```sh\nthe value is to be set by kubectl\n```",
        "<!-- the value is to be set -->",
        "Who holds the key?",
    ],
)
def test_plain_english_and_code_are_not_found(english: str) -> None:
    assert found(english) == []


def test_a_long_sentence_is_found_with_its_line_and_a_long_paragraph_is_not() -> None:
    sentence = " ".join(["word"] * 30)
    assert found(f"{sentence}. {sentence}.\n{sentence}.") == []
    assert found(f"# Heading\n\n{sentence} [and a](link.md) word.\n")[0].startswith(
        "some.md:3: a sentence of 33 words, of at most 30: "
    )


def test_descriptions_of_the_crd_are_read() -> None:
    schema = "properties:\n  args:\n    description: The value is\n      to be set.\n"
    texts = list(PROSE["texts_of_crd"](schema, name="crd.yaml"))
    assert [(text.where, text.words) for text in texts] == [("crd.yaml: .args", "The value is to be set.")]
    assert len(list(PROSE["findings"](texts[0]))) == 1
