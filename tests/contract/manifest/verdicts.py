"""Makes the verdicts of Kelery and a real API server on a spec comparable.

A verdict is the set of refused fields. The empty set means accepted. The API server reports differently:

- It reports unknown fields first and alone (400). It is asked again without that check, and the fields named
  then are added.
- For a value of the wrong type it also reports the fields inside as unknown. Only the type is wrong.
- While a spec breaks its schema, the CRD's rules may stay unchecked, and the API server says so. Kelery
  always checks their fields (`_JUDGED_BY_RULES`).
- It checks the rule about the two pauses of a retry even if one of them is out of its own bounds.
- It writes paths with dots, also if a name has dots, and some errors name the whole object (`<nil>`).
"""

import http.client
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from kelery.errors import InvalidInput, json_pointer
from kelery.kube.answer import Answer
from kelery.kube.sync_session import SyncSession
from kelery.taskrun.spec import parse_spec

_JUDGED_BY_RULES = frozenset({"spec.task", "spec.queue", "spec.retry.maxBackoffSeconds"})
_UNCHECKED = "some validation rules were not checked"
_SHRINKING = "must be at least spec.retry.backoffSeconds"
_UNKNOWN = 'strict decoding error: unknown field "'
_SECONDS = 30


def kelery_verdict(spec: Any) -> frozenset[str]:
    """JSON pointers into a body `{"spec": ...}` to every field that Kelery refuses."""
    try:
        parse_spec(spec)
    except InvalidInput as refused:
        return frozenset(json_pointer(problem.path) for problem in refused.problems)
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerVerdict:
    """The fields that the API server refuses, with dots; and whether it has checked the CRD's rules."""

    fields: frozenset[str]
    has_checked_rules: bool

    def comparable(self, pointers: Iterable[str]) -> frozenset[str]:
        """Another verdict in the API server's notation, without fields that it has not checked."""
        fields = frozenset(_dotted(pointer) for pointer in pointers)
        return fields if self.has_checked_rules else fields - (_JUDGED_BY_RULES - self.fields)


class ApiServerJudge:
    """Creates TaskRuns as dry runs, over one connection, as strictly as kubectl does."""

    def __init__(self, access: SyncSession, *, namespace: str) -> None:
        credentials = access.login.credentials()
        address = urlsplit(credentials.server)
        assert address.hostname
        self._connection = http.client.HTTPSConnection(
            address.hostname, address.port, context=credentials.trust(), timeout=_SECONDS
        )
        json_only = {"Accept": "application/json", "Content-Type": "application/json"}
        self._headers = {**credentials.headers(), **json_only}
        self._path = f"/apis/kelery.dev/v1alpha1/namespaces/{namespace}/taskruns?dryRun=All&fieldValidation="

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def answer(self, spec_text: str, *, field_validation: str = "Strict") -> Answer:
        """The API server's answer to a TaskRun with this spec, sent unchanged."""
        body = (
            '{"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun",'
            ' "metadata": {"generateName": "run-"}, "spec": ' + spec_text + "}"
        )
        self._connection.request("POST", self._path + field_validation, body.encode(), self._headers)
        with self._connection.getresponse() as response:
            return Answer(status=response.status, body=json.loads(response.read()))

    def verdict(self, spec_text: str) -> ServerVerdict:
        """Every field that the API server refuses."""
        answer = self.answer(spec_text)
        unknown = _unknown_fields(answer) if answer.status == 400 else frozenset()
        if unknown:
            answer = self.answer(spec_text, field_validation="Ignore")
        assert answer.status in (201, 422), (answer.status, answer.message)
        causes = () if answer.status == 201 else answer.body["details"]["causes"]
        of_wrong_type = [cause["field"] for cause in causes if cause["reason"] == "FieldValueTypeInvalid"]
        bad = frozenset(cause["field"] for cause in causes if not _is_shrinking(cause))
        if "spec.retry.backoffSeconds" not in bad:
            bad |= frozenset(cause["field"] for cause in causes if _is_shrinking(cause))
        bad |= {field for field in unknown if not field.startswith(tuple(_below(of_wrong_type)))}
        assert bad or answer.status == 201, answer.body
        return ServerVerdict(
            fields=frozenset(_with_dots(field) for field in bad - {"<nil>"}),
            has_checked_rules=not any(_UNCHECKED in cause["message"] for cause in causes),
        )


def _unknown_fields(answer: Answer) -> frozenset[str]:
    _, told, fields = answer.message.partition(_UNKNOWN)
    assert told, answer.message
    return frozenset(fields.removesuffix('"').split('", unknown field "'))


def _is_shrinking(cause: dict[str, str]) -> bool:
    return cause["message"].endswith(_SHRINKING)


def _below(fields: Iterable[str]) -> Iterable[str]:
    for field in fields:
        yield from (f"{field}.", f"{field}[")


def _with_dots(field: str) -> str:
    return re.sub(r"\[(\d+)\]", r".\1", field)


def _dotted(pointer: str) -> str:
    return ".".join(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
