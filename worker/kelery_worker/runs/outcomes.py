"""Maps what a task returned or raised to an `Outcome`. Pure, and defined for every value and error.

Invariant: a result is JSON that any Kubernetes API server accepts: no NaN, no infinities, no integer beyond
64 bits.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import traceback
import uuid
from typing import Any

from celery.exceptions import Ignore, Reject
from kombu.exceptions import EncodeError

from kelery.ledger.types import Outcome
from kelery.run.phases import Reason

RESULT_MAX_BYTES = 16 * 1024 * 1024
MESSAGE_MAX = 8 * 1024
TRACEBACK_MAX = 16 * 1024
_INT64 = 2**63


class NotSerializable(Exception):
    """The value cannot be stored as JSON; the message names the place and the cause."""


def of_return(value: Any) -> Outcome:
    """The task returned `value`."""
    try:
        text = encode(value)
    except NotSerializable as error:
        return failed(Reason.RESULT_NOT_SERIALIZABLE, type_name="ResultNotSerializable", message=str(error))
    size = len(text.encode())
    if size > RESULT_MAX_BYTES:
        return failed(
            Reason.RESULT_TOO_LARGE,
            type_name="ResultTooLarge",
            message=f"the result has {size} bytes as JSON, the limit is {RESULT_MAX_BYTES}: "
            "store it elsewhere and return its location",
        )
    return Outcome(kind="succeeded", result_json=text)


def of_error(error: BaseException, traceback_text: str = "") -> Outcome:
    """The task raised `error`."""
    if isinstance(error, EncodeError):
        return failed(
            Reason.RESULT_NOT_SERIALIZABLE, type_name="ResultNotSerializable", message=_one_line(error)
        )
    if isinstance(error, (Ignore, Reject)):
        message = (
            f"a run cannot use {type(error).__name__} or self.replace: return a value or raise an error; "
            "a replacement executes as a plain Celery task"
        )
        return failed(Reason.TASK_ERROR, type_name=type(error).__name__, message=message)
    text = traceback_text or "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return failed(
        Reason.TASK_ERROR, type_name=type(error).__name__, message=_one_line(error), traceback_text=text
    )


def failed(reason: Reason, *, type_name: str, message: str, traceback_text: str = "") -> Outcome:
    """A failed outcome; texts are cut to their limits."""
    shown = {
        "type": type_name,
        "message": message[:MESSAGE_MAX],
        "traceback": traceback_text[-TRACEBACK_MAX:],
    }
    return Outcome(kind="failed", reason=reason, error_json=json.dumps(shown), error_type=type_name)


def encode(value: Any) -> str:
    """`value` as JSON text; raises NotSerializable."""
    try:
        _check(value, "result")
        return json.dumps(value, allow_nan=False, default=_plain, ensure_ascii=False)
    except NotSerializable:
        raise
    except RecursionError:
        raise NotSerializable("the result is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise NotSerializable(f"the result cannot be written as JSON: {error}") from None


def _check(value: Any, path: str) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotSerializable(f"{path} is text that is not valid Unicode") from None
    elif isinstance(value, int) and not isinstance(value, bool):
        if not -_INT64 <= value < _INT64:
            raise NotSerializable(f"{path} is an integer beyond 64 bits; return it as text")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise NotSerializable(f"{path} is {value}, which is not a JSON number; return it as text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, f"a key of {path}")
            _check(item, f"{path}.{key}" if len(path) < 200 else path)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]" if len(path) < 200 else path)


def _plain(value: Any) -> Any:
    """Common types that JSON does not have, as text."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal)):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    raise NotSerializable(
        f"the result contains a {type(value).__name__}, which is not JSON; "
        "return numbers, text, lists and dicts"
    )


def _one_line(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a readable text>"
