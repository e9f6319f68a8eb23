"""Converts the spec of a TaskRun to `RunSpec` and back. No other module knows its camelCase fields.

Invariant: bounds and defaults equal those of the CRD, as a contract test verifies. The gateway has no API
server in front of it, and the operator may run with the CRD of another version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from kelery import json_codec
from kelery.errors import InvalidInput, SpecTooLarge
from kelery.run.model import CancelMode, Concurrency, Policy, Retry, RunSpec
from kelery.run.phases import RETRYABLE_REASONS, Reason
from kelery.taskrun.validation import FieldReader, as_mapping, is_name

_SPEC_FIELDS = (
    "task",
    "args",
    "kwargs",
    "queue",
    "priority",
    "concurrency",
    "timeoutSeconds",
    "retry",
    "cancel",
    "cancelGracePeriodSeconds",
    "ttlSecondsAfterFinished",
)
_CONCURRENCY_FIELDS = ("key", "limit", "policy", "maxQueueSeconds")
_RETRY_FIELDS = ("maxAttempts", "backoffSeconds", "maxBackoffSeconds", "reasons")
#: They can change while the run is live, so they are not part of its fingerprint.
_MUTABLE_FIELDS = ("cancel", "ttlSecondsAfterFinished")

_LONGEST_TASK = 253
_LONGEST_QUEUE = 200
_LONGEST_KEY = 253
#: The form of a concurrency key, without its length.
KEY_FORM = r"^[A-Za-z0-9]([-A-Za-z0-9._:/@]*[A-Za-z0-9])?$"
_KEY = re.compile(KEY_FORM, re.ASCII)
_MOST_ARGUMENTS = 1000
_THIRTY_DAYS = 30 * 24 * 3600
_ONE_DAY = 24 * 3600
_MOST_INT32 = 2**31 - 1


def parse_spec(spec: Mapping[str, Any]) -> RunSpec:
    """The model of a `.spec`. Raises InvalidInput for all bad fields, or SpecTooLarge for its size alone."""
    _refuse_too_large(spec)
    fields = FieldReader(spec, path=("spec",), fields=_SPEC_FIELDS)
    fields.require("task", "give the registered name of a Celery task")
    cancel = fields.choice("cancel", options=[mode.value for mode in CancelMode])
    # A refused field reads as absent, so `parsed` is valid only after `refuse_if_any`.
    parsed = RunSpec(
        task=fields.name("task", longest=_LONGEST_TASK) or "",
        args=tuple(fields.items("args", most=_MOST_ARGUMENTS) or ()),
        kwargs=fields.mapping("kwargs", most=_MOST_ARGUMENTS) or {},
        queue=fields.name("queue", longest=_LONGEST_QUEUE),
        priority=_or(fields.integer("priority", least=-1000, most=1000), 0),
        concurrency=_parse_concurrency(fields.object("concurrency", fields=_CONCURRENCY_FIELDS)),
        timeout_seconds=fields.integer("timeoutSeconds", least=1, most=_THIRTY_DAYS),
        retry=_parse_retry(fields.object("retry", fields=_RETRY_FIELDS)),
        cancel=CancelMode(cancel) if cancel else None,
        cancel_grace_period_seconds=_or(fields.integer("cancelGracePeriodSeconds", least=0, most=3600), 30),
        ttl_seconds_after_finished=fields.integer("ttlSecondsAfterFinished", least=0, most=_MOST_INT32),
    )
    fields.refuse_if_any()
    return parsed


def parse_readable_part(spec: Any) -> RunSpec:
    """The readable part of a spec that cannot be run: task ("" if unreadable), cancel and ttl."""
    fields = as_mapping(spec)
    task, cancel, ttl = fields.get("task"), fields.get("cancel"), fields.get("ttlSecondsAfterFinished")
    return RunSpec(
        task=str(task) if is_name(task, longest=_LONGEST_TASK) else "",
        cancel=next((mode for mode in CancelMode if mode.value == cancel), None),
        ttl_seconds_after_finished=(
            ttl if isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0 else None
        ),
    )


def is_key(text: str) -> bool:
    """Whether this is a valid concurrency key."""
    return len(text) <= _LONGEST_KEY and _KEY.fullmatch(text) is not None


def render_spec(spec: RunSpec) -> dict[str, Any]:
    """The inverse of `parse_spec`. Defaults are included, and unset fields are left out."""
    return _present(
        task=spec.task,
        args=list(spec.args),
        kwargs=dict(spec.kwargs),
        queue=spec.queue,
        priority=spec.priority,
        concurrency=_render_concurrency(spec.concurrency),
        timeoutSeconds=spec.timeout_seconds,
        retry=_render_retry(spec.retry),
        cancel=spec.cancel.value if spec.cancel else None,
        cancelGracePeriodSeconds=spec.cancel_grace_period_seconds,
        ttlSecondsAfterFinished=spec.ttl_seconds_after_finished,
    )


def fingerprint(spec: RunSpec) -> str:
    """A hash of the immutable fields: equal for two specs that describe the same run.

    Defaults are left out, so a version with a new field that has a default computes the same hash.
    """
    asked = _sparse(render_spec(spec), _DEFAULTS)
    for field in _MUTABLE_FIELDS:
        asked.pop(field, None)
    if spec.concurrency:
        asked["concurrency"] = _sparse(asked["concurrency"], _DEFAULT_CONCURRENCY)
    if spec.retry:
        asked["retry"] = _sparse(asked["retry"], _DEFAULT_RETRY)
    return hashlib.sha256(json_codec.canonical(asked).encode()).hexdigest()


def _refuse_too_large(spec: Any) -> None:
    for field in ("args", "kwargs"):
        if json_codec.is_deeper_than(as_mapping(spec).get(field), json_codec.MAX_ARGUMENT_DEPTH):
            most = json_codec.MAX_ARGUMENT_DEPTH
            raise SpecTooLarge(
                f"spec.{field}", f"is nested deeper than {most} levels; pass a reference to the data"
            )
    try:
        size = json_codec.size_in_bytes(spec)
    except RecursionError:
        raise SpecTooLarge("spec", "is nested too deeply; pass a reference to the data") from None
    except (TypeError, ValueError) as error:
        raise InvalidInput("spec", f"is not JSON: {error}") from None
    if size > json_codec.MAX_SPEC_BYTES:
        most = json_codec.MAX_SPEC_BYTES
        raise SpecTooLarge(
            "spec", f"is {size} bytes of JSON; give at most {most}, or pass a reference to the data"
        )


def _parse_concurrency(fields: FieldReader | None) -> Concurrency | None:
    if fields is None:
        return None
    allowed = "letters, digits and -._:/@, and must begin and end with a letter or a digit"
    fields.require("key", "give a name that runs share, such as report/tenant-7")
    key = fields.matching("key", longest=_LONGEST_KEY, pattern=_KEY, allowed=allowed)
    policy = fields.choice("policy", options=[policy.value for policy in Policy])
    return Concurrency(
        key=key or "",
        limit=_or(fields.integer("limit", least=1, most=1000), 1),
        policy=Policy(policy or Policy.QUEUE),
        max_queue_seconds=fields.integer("maxQueueSeconds", least=1, most=_THIRTY_DAYS),
    )


def _render_concurrency(concurrency: Concurrency | None) -> dict[str, Any] | None:
    if concurrency is None:
        return None
    return _present(
        key=concurrency.key,
        limit=concurrency.limit,
        policy=concurrency.policy.value,
        maxQueueSeconds=concurrency.max_queue_seconds,
    )


def _parse_retry(fields: FieldReader | None) -> Retry | None:
    if fields is None:
        return None
    fields.require("maxAttempts", "give 1 to 100")
    attempts = fields.integer("maxAttempts", least=1, most=100)
    backoff = _or(fields.integer("backoffSeconds", least=0, most=_ONE_DAY), 5)
    longest = _or(fields.integer("maxBackoffSeconds", least=0, most=_ONE_DAY), 300)
    reasons = fields.words("reasons", options=[reason.value for reason in RETRYABLE_REASONS])
    are_known = not (fields.has_refused("backoffSeconds") or fields.has_refused("maxBackoffSeconds"))
    if are_known and longest < backoff:
        fields.refuse("maxBackoffSeconds", f"is {longest}, less than backoffSeconds; give at least {backoff}")
    return Retry(
        max_attempts=_or(attempts, 1),
        backoff_seconds=backoff,
        max_backoff_seconds=longest,
        reasons=RETRYABLE_REASONS if reasons is None else tuple(Reason(word) for word in reasons),
    )


def _render_retry(retry: Retry | None) -> dict[str, Any] | None:
    if retry is None:
        return None
    return {
        "maxAttempts": retry.max_attempts,
        "backoffSeconds": retry.backoff_seconds,
        "maxBackoffSeconds": retry.max_backoff_seconds,
        "reasons": [reason.value for reason in retry.reasons],
    }


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _sparse(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if defaults.get(name) != value}


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


_DEFAULTS = render_spec(RunSpec(task=""))
_DEFAULT_CONCURRENCY = _render_concurrency(Concurrency(key="")) or {}
_DEFAULT_RETRY = _render_retry(Retry()) or {}
