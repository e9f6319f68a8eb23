"""Logs: one JSON object per line, or text; fields next to the message."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from kelery.telemetry.logs import JsonFormatter, TextFormatter


def record(**fields: object) -> logging.LogRecord:
    made = logging.LogRecord("kelery.x", logging.WARNING, __file__, 1, "lost %s", ("it",), None)
    vars(made).update(fields)
    return made


def test_a_line_is_json_with_its_fields() -> None:
    line = json.loads(JsonFormatter().format(record(run="uid-1", pause=0.5)))
    assert (line["level"], line["message"], line["run"], line["pause"]) == (
        "warning",
        "lost it",
        "uid-1",
        0.5,
    )
    assert line["time"].endswith("Z")


def test_whole_objects_are_left_out() -> None:
    assert "secret" not in JsonFormatter().format(record(k8s_ref={"spec": {"args": ["secret"]}}))
    assert "secret" not in TextFormatter("%(message)s").format(record(k8s_ref=["secret"]))


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        made = record(exc_info=(type(error), error, error.__traceback__))
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert "broken" in json.loads(line)["exception"]


def test_text_ends_with_its_fields() -> None:
    assert TextFormatter("%(message)s").format(record(run="uid-1")) == "lost it run=uid-1"


def test_every_logger_is_that_of_its_part() -> None:
    root = Path(__file__).parents[3]
    names = {
        (part, name)
        for part in ("api", "core", "operator", "worker")
        for file in (root / part).rglob("*.py")
        for name in re.findall(r"^logger = logging\.getLogger\((.*)\)", file.read_text(), re.M)
    }
    assert names == {
        ("api", '"kelery.api"'),
        ("core", '"kelery.kube"'),
        ("core", '"kelery.ledger"'),
        ("operator", '"kelery.operator"'),
        ("worker", '"kelery.worker"'),
        # Its records reach `kelery.worker` by way of another thread.
        ("worker", '"kelery.worker.threads"'),
    }
