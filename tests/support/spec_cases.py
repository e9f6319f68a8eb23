"""Specs with the expected verdict: one table for all validators of specs.

Each case is JSON text, sent unchanged (`1e3` and `1000` are two texts of one number). Its JSON pointers are
exactly the fields that must be refused. No pointer means that the spec is accepted.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecCase:
    """One spec, and its fields that must be refused."""

    title: str
    text: str
    pointers: frozenset[str] = frozenset()

    @property
    def spec(self) -> Any:
        """The parsed spec."""
        return json.loads(self.text)

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A spec that the API server and Kelery judge differently, on purpose."""

    case: SpecCase
    #: The fields that the API server names. `case.pointers` has those that Kelery names.
    by_api_server: frozenset[str]
    why: str

    def __str__(self) -> str:
        return self.case.title


def case(title: str, spec: Any, *pointers: str) -> SpecCase:
    """A case from a value, or from JSON text that starts with a brace."""
    text = spec if isinstance(spec, str) and spec.startswith("{") else json.dumps(spec)
    return SpecCase(title=title, text=text, pointers=frozenset(pointers))


def _run(**fields: Any) -> dict[str, Any]:
    return {"task": "demo.add", **fields}


def _keyed(**fields: Any) -> dict[str, Any]:
    return _run(concurrency={"key": "k", **fields})


def _retried(**fields: Any) -> dict[str, Any]:
    return _run(retry={"maxAttempts": 3, **fields})


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


_EVERY_FIELD = {
    "task": "demo.add",
    "args": [1, None, {"rows": [None, 1.5]}],
    "kwargs": {"month": "2026-08", "nothing": None, "deep": {"list": [[], {}]}},
    "queue": "celery",
    "priority": -1000,
    "concurrency": {"key": "report/tenant-7", "limit": 1000, "policy": "Replace", "maxQueueSeconds": 600},
    "timeoutSeconds": 3600,
    "retry": {"maxAttempts": 3, "backoffSeconds": 5, "maxBackoffSeconds": 5, "reasons": ["WorkerLost"]},
    "cancel": "Graceful",
    "cancelGracePeriodSeconds": 0,
    "ttlSecondsAfterFinished": 0,
}
_OPTIONAL = [field for field in _EVERY_FIELD if field != "task"]
_TASKS = (
    "add",
    "proj.tasks.<lambda>",
    "proj:tasks/add-1",
    "同步数据",
    "größe.rechnen",
    "\ufffd",
    "\U0001f600",
)

GOOD = (
    case("nothing but a task", _run()),
    case("every field", _EVERY_FIELD),
    *(case(f"task {task}", {"task": task}) for task in _TASKS),
    *(case(f"policy {word}", _keyed(policy=word)) for word in ("Queue", "QueueLatest", "Reject", "Replace")),
    *(
        case(f"key {key[:20]}", _run(concurrency={"key": key}))
        for key in ("a", "A_1", "db:5432/x@y.z-1", "k" * 253)
    ),
    case("longest names", _run(task="t" * 253, queue="q" * 200)),
    case("longest names, more bytes than letters", _run(task="é" * 253, queue="同" * 200)),
    case("most arguments", _run(args=[0] * 1000, kwargs={f"k{i}": i for i in range(1000)})),
    case("no arguments, written out", _run(args=[], kwargs={})),
    case("arguments nested to the limit", _run(args=_nested(32), kwargs={"deep": _nested(31)})),
    case(
        "any JSON as argument",
        _run(args=["", "\x00\u202e", "\ud800", -0.0, 2**63 - 1, 2**64 + 1, 1e300, True, {"": None}]),
    ),
    case("retry at once", _retried(backoffSeconds=0, maxBackoffSeconds=0)),
    case("reasons in another order", _retried(reasons=["WorkerLost", "TaskError", "Timeout"])),
    case("cancelled at creation", _run(cancel="Force")),
    case("kept for ever", _run(ttlSecondsAfterFinished=2**31 - 1)),
    case("null for every field that may be absent", _run(**dict.fromkeys(_OPTIONAL))),
    case("null in concurrency", _keyed(limit=None, policy=None, maxQueueSeconds=None)),
    case("null in retry", _retried(backoffSeconds=None, maxBackoffSeconds=None, reasons=None)),
    case("a whole number with a point", '{"task": "t", "priority": 7.0, "timeoutSeconds": 1.0}'),
    case("a whole number with an exponent", '{"task": "t", "priority": 1e3, "retry": {"maxAttempts": 1E+2}}'),
    case("minus zero", '{"task": "t", "priority": -0, "cancelGracePeriodSeconds": -0.0}'),
    case("escapes for plain letters", r'{"t\u0061sk": "demo\u002eadd"}'),
    case("letters beyond ASCII as they are", '{"task": "größe.同步", "args": ["\u2028", "\U0001f600"]}'),
)

_NOT_STRINGS: tuple[Any, ...] = (7, 1.5, True, [], ["a"], {})
_NOT_SPECS: tuple[Any, ...] = (None, 1, "demo.add", [], True)
_NOT_INTEGERS: tuple[Any, ...] = ("1", "", True, 1.5, -0.5, [], [1], {})
_NOT_OBJECTS: tuple[Any, ...] = ("k", "", 1, False, [], [{"key": "k"}])
_NOT_LISTS: tuple[Any, ...] = ({}, "Timeout", "", 1, True)
_UNFIT = (
    *("", " ", "demo add", "\tdemo", "demo.add\n", "demo\x1b[31m", "demo\x00", "demo\x7f", "demo\x85add"),
    *("demo\u00a0add", "demo\u00adadd", "demo\u202eadd", "demo\u200badd", "demo\u2028add", "demo\u3000add"),
    *("\ufeffdemo", "demo\ue000", "demo\U000e0001"),
)
_UNFIT_KEYS = ("", " ", "a b", "a\n", "a\x00b", "/a", "a/", "-", "a{b}c", "kéy", "٣", "a\u200b", "k" * 254)
_INTEGERS = {
    "/spec/priority": (-1000, 1000),
    "/spec/timeoutSeconds": (1, 2592000),
    "/spec/cancelGracePeriodSeconds": (0, 3600),
    "/spec/ttlSecondsAfterFinished": (0, 2**31 - 1),
    "/spec/concurrency/limit": (1, 1000),
    "/spec/concurrency/maxQueueSeconds": (1, 2592000),
    "/spec/retry/maxAttempts": (1, 100),
    "/spec/retry/maxBackoffSeconds": (5, 86400),
}


def _with(pointer: str, value: Any) -> dict[str, Any]:
    """A spec in which at most this field is invalid."""
    *outer, name = pointer.split("/")[2:]
    if not outer:
        return _run(**{name: value})
    return (_keyed if outer == ["concurrency"] else _retried)(**{name: value})


def _titled(pointer: str, value: Any) -> str:
    return f"{pointer.removeprefix('/spec/')} {json.dumps(value)[:40]}"


WRONG_TYPES = (
    *(case(f"spec {json.dumps(value)}", value, "/spec") for value in _NOT_SPECS),
    *(
        case(_titled(pointer, value), _with(pointer, value), pointer)
        for pointer in ("/spec/task", "/spec/queue", "/spec/cancel", "/spec/concurrency/key")
        for value in _NOT_STRINGS
    ),
    *(
        case(_titled(pointer, value), _with(pointer, value), pointer)
        for pointer in _INTEGERS
        for value in _NOT_INTEGERS
    ),
    *(
        case(_titled(pointer, value), _with(pointer, value), pointer)
        for pointer in ("/spec/concurrency", "/spec/retry", "/spec/kwargs")
        for value in _NOT_OBJECTS
    ),
    *(
        case(_titled(pointer, value), _with(pointer, value), pointer)
        for pointer in ("/spec/args", "/spec/retry/reasons")
        for value in _NOT_LISTS
    ),
)

OUT_OF_BOUNDS = (
    *(
        case(_titled(pointer, value), _with(pointer, value), pointer)
        for pointer, (least, most) in _INTEGERS.items()
        for value in (least - 1, most + 1, -(2**31) - 1, 2**31, -(2**63) - 1, 2**63, 1e30, -1e30)
    ),
    *(case(_titled("/spec/task", name), {"task": name}, "/spec/task") for name in (*_UNFIT, "t" * 254)),
    *(case(_titled("/spec/queue", name), _run(queue=name), "/spec/queue") for name in (*_UNFIT, "q" * 201)),
    *(
        case(_titled("/spec/concurrency/key", key), _keyed(key=key), "/spec/concurrency/key")
        for key in (*_UNFIT_KEYS, "\ud800")
    ),
    case("too many arguments", _run(args=[0] * 1001), "/spec/args"),
    case("too many named arguments", _run(kwargs={f"k{i}": i for i in range(1001)}), "/spec/kwargs"),
    *(
        case(_titled(pointer, word), _with(pointer, word), pointer)
        for pointer in ("/spec/concurrency/policy", "/spec/cancel")
        for word in ("", "Forbid", "queue", "graceful", "Force ", "Queue\n", "\ud800")
    ),
    case("no reasons", _retried(reasons=[]), "/spec/retry/reasons"),
    case("an unknown reason", _retried(reasons=["Timeout", "Cancelled"]), "/spec/retry/reasons/1"),
    case("a reason twice", _retried(reasons=["Timeout", "Timeout"]), "/spec/retry/reasons/1"),
    case(
        "reasons of wrong types",
        _retried(reasons=[None, 1, ["Timeout"]]),
        *(f"/spec/retry/reasons/{index}" for index in range(3)),
    ),
    case(
        "too many reasons, three of them bad",
        _retried(reasons=["Timeout", "TaskError", "Timeout", "Timeout", "timeout", "", "TaskError"]),
        *(f"/spec/retry/reasons{rest}" for rest in ("", "/2", "/4", "/5", "/6")),
    ),
    case(
        "pauses that shrink",
        _retried(backoffSeconds=10, maxBackoffSeconds=9),
        "/spec/retry/maxBackoffSeconds",
    ),
    case(
        "a first pause beyond the default longest",
        _retried(backoffSeconds=301),
        "/spec/retry/maxBackoffSeconds",
    ),
    case("a negative first pause", _retried(backoffSeconds=-1), "/spec/retry/backoffSeconds"),
    case("a first pause too long", _retried(backoffSeconds=86401), "/spec/retry/backoffSeconds"),
)

MISSING = (
    case("nothing", {}, "/spec/task"),
    case("task null", {"task": None}, "/spec/task"),
    case("concurrency without a key", _run(concurrency={}), "/spec/concurrency/key"),
    case("concurrency with a limit only", _run(concurrency={"limit": 2}), "/spec/concurrency/key"),
    case("key null", _keyed(key=None), "/spec/concurrency/key"),
    case("retry without attempts", _run(retry={}), "/spec/retry/maxAttempts"),
    case("attempts null", _retried(maxAttempts=None), "/spec/retry/maxAttempts"),
)

UNKNOWN = (
    case("an unknown field", _run(tasks="demo.add"), "/spec/tasks"),
    case("an unknown field that is null", _run(timeout=None), "/spec/timeout"),
    case("a field in another case", {"Task": "demo.add"}, "/spec/Task", "/spec/task"),
    case("snake case", _run(timeout_seconds=5), "/spec/timeout_seconds"),
    case("an unknown field in concurrency", _keyed(max=1), "/spec/concurrency/max"),
    # YAML turns an unquoted `on:` into this.
    case("an unknown field in retry", _retried(true=["Timeout"]), "/spec/retry/true"),
    case("an empty name", _run(**{"": 1}), "/spec/"),
    case("names to be escaped", _run(**{"a/b": 1, "~": 1, "~1": 1}), "/spec/a~1b", "/spec/~0", "/spec/~01"),
    case("a name with a dot", _run(**{"retry.maxAttempts": 1}), "/spec/retry.maxAttempts"),
    case("names nobody can see", _run(**{"a\u202e": 1, "\x07\n": 1}), "/spec/a\u202e", "/spec/\x07\n"),
    case("a broken name", _run(**{"a\ud800": 1}), "/spec/a\ufffd"),
    case("an unknown field nested deeply", _run(extra=_nested(500)), "/spec/extra"),
    case("unknown fields where a string belongs", {"task": {"name": "demo.add"}}, "/spec/task"),
    case("unknown fields where a number belongs", _run(priority={"value": 1}), "/spec/priority"),
    case(
        "unknown fields in each object",
        _run(a=1, concurrency={"key": "k", "b": 1}, retry={"maxAttempts": 1, "c": 1}),
        "/spec/a",
        "/spec/concurrency/b",
        "/spec/retry/c",
    ),
    case(
        "fifty unknown fields", _run(**{f"x{i}": i for i in range(50)}), *(f"/spec/x{i}" for i in range(50))
    ),
)

SEVERAL = (
    case(
        "everything at once",
        {
            "tasks": "demo.add",
            "args": {},
            "kwargs": [],
            "queue": "",
            "priority": "high",
            "concurrency": {"key": "a b", "limit": 0, "policy": "Wait", "maxQueueSeconds": 1.5, "max": 1},
            "timeoutSeconds": 0,
            "retry": {"maxAttempts": 0, "backoffSeconds": -1, "maxBackoffSeconds": "5", "reasons": ["Never"]},
            "cancel": "Now",
            "cancelGracePeriodSeconds": 3601,
            "ttlSecondsAfterFinished": -1,
        },
        "/spec/tasks",
        "/spec/task",
        *(f"/spec/{name}" for name in ("args", "kwargs", "queue", "priority", "timeoutSeconds", "cancel")),
        *(f"/spec/concurrency/{name}" for name in ("key", "limit", "policy", "maxQueueSeconds", "max")),
        *(f"/spec/retry/{name}" for name in ("maxAttempts", "backoffSeconds", "maxBackoffSeconds")),
        "/spec/retry/reasons/0",
        "/spec/cancelGracePeriodSeconds",
        "/spec/ttlSecondsAfterFinished",
    ),
    case(
        "two names that only rules refuse, and pauses that shrink",
        _run(task="a\u200b", queue="b\u2066", retry={"maxAttempts": 2, "backoffSeconds": 400}),
        "/spec/task",
        "/spec/queue",
        "/spec/retry/maxBackoffSeconds",
    ),
    case(
        "rules broken in a spec that also has a wrong type",
        _run(task="a\u200b", priority="1", retry={"maxAttempts": 2, "backoffSeconds": 400}),
        "/spec/task",
        "/spec/priority",
        "/spec/retry/maxBackoffSeconds",
    ),
    case(
        "no objects where objects belong", _run(concurrency=[], retry="x"), "/spec/concurrency", "/spec/retry"
    ),
)

BAD = (*WRONG_TYPES, *OUT_OF_BOUNDS, *MISSING, *UNKNOWN, *SEVERAL)

_BY_THE_OPERATOR = "the API server does not judge it; the operator ends such a run with SpecTooLarge"
_SURROGATE = (
    "the API server reads a lone surrogate as U+FFFD, silently; a task of that name is not what was asked for"
)
_FLOAT_IN_RULE = "the rule on spec.retry cannot be evaluated with a whole number that is written with a point"

DIFFERENCES = (
    *(
        Difference(case=judged, by_api_server=frozenset(), why=_BY_THE_OPERATOR)
        for judged in (
            case("args nested too deeply", _run(args=_nested(33)), "/spec/args"),
            case("kwargs nested too deeply", _run(kwargs={"deep": _nested(32)}), "/spec/kwargs"),
            case("more than 128 KiB", _run(kwargs={"text": "x" * 131_072}), "/spec"),
        )
    ),
    *(
        Difference(case=judged, by_api_server=frozenset(), why=_SURROGATE)
        for judged in (
            case("a broken task", _run(task="demo\ud800"), "/spec/task"),
            case("a broken queue", _run(queue="\udfffcelery"), "/spec/queue"),
        )
    ),
    *(
        Difference(
            case=case(f"{field} 100.0", _retried(**{field: 100.0})),
            by_api_server=frozenset({"/spec/retry"}),
            why=_FLOAT_IN_RULE,
        )
        for field in ("backoffSeconds", "maxBackoffSeconds")
    ),
)

#: Spec texts that make the whole body unreadable. They are refused before any field is validated.
UNREADABLE = {
    "a number that no computer holds": '{"task": "t", "args": [1e400]}',
    "an integer that no computer holds": '{"task": "t", "args": [1' + "0" * 400 + "]}",
    "such an integer for a field": '{"task": "t", "priority": 1' + "0" * 400 + "}",
    "not a number": '{"task": "t", "args": [NaN]}',
    "infinity": '{"task": "t", "args": [-Infinity]}',
    "a comma at the end": '{"task": "t",}',
    "single quotes": "{'task': 't'}",
    "a comment": '{"task": "t" /* demo */}',
    "a control character in a string": '{"task": "t\n"}',
    "an unfinished object": '{"task": "t"',
    "a field twice": '{"task": "t", "task": "u"}',
    "an argument twice": '{"task": "t", "kwargs": {"a": 1, "a": 1}}',
    "nesting without end": '{"task": "t", "args": ' + "[" * 20_000 + "]" * 20_000 + "}",
}
