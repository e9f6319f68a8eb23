"""The answer of the API server to one request, and the error of a request without an answer.

Both sessions return these types. This module imports neither session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.errors import KeleryError

_MOST_TEXT = 300


class KubeError(KeleryError):
    """The API server did not answer or refused the request. `status` is 0 if there was no answer."""

    def __init__(self, message: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the API server."""

    status: int
    body: Mapping[str, Any]
    retry_after: float | None = None

    @property
    def message(self) -> str:
        """The server's error message."""
        return str(self.body.get("message", f"HTTP {self.status}"))

    def says_absent(self, name: str) -> bool:
        """Whether this object does not exist. Without the CRD, every object has the answer 404."""
        details = self.body.get("details")
        named = isinstance(details, Mapping) and details.get("name") == name
        return self.status == 404 and self.body.get("reason") == "NotFound" and named

    def error(self) -> KubeError:
        """This answer as an error."""
        text = f"the API server answered {self.status}: {self.message}"
        return KubeError(text, status=self.status, retry_after=self.retry_after)


def answer_of(status: int, content: bytes, *, retry_after: str | None) -> Answer:
    """The answer, from the HTTP response."""
    return Answer(status=status, body=_json_object(content), retry_after=_seconds(retry_after))


def _json_object(content: bytes) -> Mapping[str, Any]:
    """The body as an object; plain text (health checks, proxies) as its message."""
    try:
        body = json.loads(content)
    except ValueError:
        return {"message": content[:_MOST_TEXT].decode(errors="replace")}
    return body if isinstance(body, dict) else {}


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
