"""An InvalidInput names everything that is wrong with an input, by paths that are true, and stays short."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.errors import FieldFault, InvalidInput, SpecTooLarge, json_pointer
from kelery.taskrun.spec import parse_spec
from kelery.taskrun.validation import FieldReader

#: No field of a spec is called anything like it.
UNKNOWN_NAMES = st.text(max_size=9).filter(lambda name: not name.isascii() or not name.isalpha())


def _refusal(spec: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        parse_spec(spec)
    return refused.value


def test_every_bad_field_of_a_spec_is_named_at_once() -> None:
    refusal = _refusal(
        {
            "arg": [],
            "kwarg": {},
            "priority": 5000,
            "queue": "a b",
            "args": "x",
            "concurrency": {"limit": 0, "max": 1},
            "retry": {"maxAttempts": "3", "reasons": ["Timeout", "Never", "Timeout"], "backoffSeconds": 301},
            "cancel": "Now",
        }
    )
    assert {problem.field for problem in refusal.problems} == {
        "spec.arg",
        "spec.kwarg",
        "spec.task",
        "spec.priority",
        "spec.queue",
        "spec.args",
        "spec.concurrency.key",
        "spec.concurrency.limit",
        "spec.concurrency.max",
        "spec.retry.maxAttempts",
        "spec.retry.reasons[1]",
        "spec.retry.reasons[2]",
        "spec.retry.maxBackoffSeconds",
        "spec.cancel",
    }
    assert len(refusal.problems) == 14
    assert (refusal.field, refusal.problem) == (refusal.problems[0].field, refusal.problems[0].problem)


def test_its_text_has_a_line_for_each_problem() -> None:
    refusal = _refusal({"priority": 1001, "cancel": "Now"})
    assert sorted(str(refusal).splitlines()) == [
        "spec.cancel: 'Now' is not supported; give one of Graceful, Force",
        "spec.priority: 1001 is out of range; give -1000 to 1000",
        "spec.task: is missing; give the registered name of a Celery task",
    ]


def test_a_value_of_the_wrong_type_is_one_problem_and_not_one_for_each_field_that_it_lacks() -> None:
    fields = [problem.field for problem in _refusal({"task": "t", "concurrency": "k", "retry": []}).problems]
    assert fields == ["spec.concurrency", "spec.retry"]
    with pytest.raises(InvalidInput) as refused:
        parse_spec([])  # type: ignore[arg-type]
    assert [problem.field for problem in refused.value.problems] == ["spec"]


def test_a_rule_about_two_fields_is_not_judged_while_one_of_them_is_wrong_itself() -> None:
    spec = {"task": "t", "retry": {"maxAttempts": 2, "backoffSeconds": 86401, "maxBackoffSeconds": 5}}
    assert [problem.field for problem in _refusal(spec).problems] == ["spec.retry.backoffSeconds"]


@pytest.mark.parametrize("name", ["x", "x" * 9000, "\u202e\n\x1b" * 3000, "\ud800" * 9000])
def test_what_is_said_stays_short_and_printable_whatever_was_sent(name: str) -> None:
    refusal = _refusal({f"{name}{number}": 1 for number in range(9 if len(name) > 1 else 5000)})
    assert len(str(refusal)) < 8000
    assert len(refusal.problems) <= 100
    assert str(refusal).isascii()
    assert str(refusal).replace("\n", "").isprintable()


def test_that_there_is_more_than_is_shown_is_said() -> None:
    refusal = _refusal({"task": "t", **{f"x{number:03}": 1 for number in range(250)}})
    assert str(refusal).splitlines()[-1] == "and 240 more"
    assert [problem.field for problem in refusal.problems] == [f"spec.x{number:03}" for number in range(100)]


def test_a_spec_that_is_too_large_is_told_as_that_and_nothing_else() -> None:
    refusal = _refusal({"unknown": 1, "kwargs": {"text": "x" * 200_000}})
    assert isinstance(refusal, SpecTooLarge)
    assert [problem.field for problem in refusal.problems] == ["spec"]


@pytest.mark.parametrize(
    ("path", "pointer", "field"),
    [
        ((), "", ""),
        (("spec", "task"), "/spec/task", "spec.task"),
        (("spec", "retry", "reasons", 1), "/spec/retry/reasons/1", "spec.retry.reasons[1]"),
        (("spec", "1"), "/spec/1", "spec.1"),
        (("spec", ""), "/spec/", 'spec[""]'),
        (("spec", "a.b"), "/spec/a.b", 'spec["a.b"]'),
        (("spec", "a/b~c"), "/spec/a~1b~0c", 'spec["a/b~c"]'),
        (("spec", "~1"), "/spec/~01", 'spec["~1"]'),
        (("spec", "ü\n"), "/spec/ü\n", r'spec["\u00fc\n"]'),
        (("spec", "\ud800"), "/spec/\ufffd", r'spec["\ud800"]'),
    ],
)
def test_a_path_is_written_for_people_and_for_programs(
    path: tuple[str | int, ...], pointer: str, field: str
) -> None:
    assert json_pointer(path) == pointer
    assert FieldFault(path=path, problem="").field == field


@given(st.dictionaries(UNKNOWN_NAMES, st.none(), min_size=1, max_size=3))
def test_a_pointer_leads_to_the_field_that_it_names(unknown: dict[str, None]) -> None:
    refusal, reached = _refusal({"task": "t", **unknown}), set()
    for pointer in [json_pointer(problem.path) for problem in refusal.problems]:
        outer, name = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        assert outer == "spec"
        reached.add(name)
    assert reached == set(unknown)


def test_a_path_given_as_users_write_it_is_understood() -> None:
    refusal = InvalidInput("spec.retry.reasons[1]", "is wrong")
    assert refusal.problems[0].path == ("spec", "retry", "reasons", 1)
    assert str(refusal) == "spec.retry.reasons[1]: is wrong"
    assert InvalidInput("mode", "is missing").problems[0].path == ("mode",)


def test_the_whole_input_has_a_name_too() -> None:
    with pytest.raises(InvalidInput) as refused:
        FieldReader([], path=(), fields=["spec"]).refuse_if_any()
    assert (str(refused.value), refused.value.field) == ("the input: must be an object, not a list", "")
