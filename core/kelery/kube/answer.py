"""What the API server says to one request, and the error of a request that gets no answer.

Both sessions give these; neither is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.errors import KeleryError

_MOST_TEXT = 300


class KubeError(KeleryError):
    """The API server did not answer, or refused; `status` is 0 without an answer."""

    def __init__(self, message: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    body: Mapping[str, Any]
    retry_after: float | None = None

    @property
    def message(self) -> str:
        """The server's own words about an error."""
        return str(self.body.get("message", f"HTTP {self.status}"))

    def says_absent(self, name: str) -> bool:
        """Whether this object is not there. A server that does not serve TaskRuns at all answers 404 too."""
        details = self.body.get("details")
        named = isinstance(details, Mapping) and details.get("name") == name
        return self.status == 404 and self.body.get("reason") == "NotFound" and named

    def error(self) -> KubeError:
        """This answer as an error."""
        text = f"the API server answered {self.status}: {self.message}"
        return KubeError(text, status=self.status, retry_after=self.retry_after)


def answer_of(status: int, content: bytes, *, retry_after: str | None) -> Answer:
    """The answer from what came over the wire."""
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
