"""The API server over one shared HTTP session: one request, one answer.

Bounded in connections, credentials read again every few minutes and after a 401. Answers are values; only
what leaves the caller without an answer (no connection, 5xx, throttling, refusal) is raised, as
`KubeError`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from kelery.errors import KeleryError
from kelery.kube.kubeconfig import Credentials

_CREDENTIALS_SECONDS = 300.0
_REQUEST_SECONDS = 30.0
_CONNECT_SECONDS = 10.0


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


class ClusterSession:
    """The requests of one process, under one name.

    `client_name` is the user agent: it names the field manager of what we write, and us in audit logs.
    """

    def __init__(
        self,
        load: Callable[[], Credentials],
        *,
        client_name: str,
        connections: int = 32,
        request_seconds: float = _REQUEST_SECONDS,
    ) -> None:
        self._load = load
        self._headers = {"Accept": "application/json", "User-Agent": client_name}
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(
            total=request_seconds, connect=min(_CONNECT_SECONDS, request_seconds)
        )
        self._credentials = load()
        self._loaded_at = time.monotonic()
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Answer:
        """One request; a refusal of who we are is answered by reading our credentials again, once."""
        answer = await self._send(method, path, query=query, body=body, content_type=content_type)
        if answer.status == 401:
            await self._reload()
            answer = await self._send(method, path, query=query, body=body, content_type=content_type)
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise answer.error()
        return answer

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None, body: object, content_type: str
    ) -> Answer:
        if time.monotonic() - self._loaded_at > _CREDENTIALS_SECONDS:
            await self._reload()
        session = self._session or self._open()
        headers = {**self._credentials.headers(), **self._headers}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, allow_nan=False).encode()
        try:
            async with session.request(
                method,
                self._credentials.server + path,
                params=query,
                headers=headers,
                data=data,
                proxy=self._credentials.proxy_url,
            ) as response:
                content = await response.read()
                return Answer(
                    status=response.status,
                    body=_json_object(content),
                    retry_after=_seconds(response.headers.get("Retry-After")),
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(f"the API server does not answer: {type(error).__name__}", status=0) from error

    def _open(self) -> aiohttp.ClientSession:
        secure = self._credentials.server.startswith("https:")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                ssl=self._credentials.trust() if secure else True,
                keepalive_timeout=60,
            ),
            timeout=self._timeout,
        )
        return self._session

    async def _reload(self) -> None:
        """A renewed token needs new headers only; anything else a new session."""
        self._loaded_at = time.monotonic()
        try:
            fresh = self._load()
        except KeleryError as error:
            raise KubeError(f"cannot read our credentials again: {error}", status=0) from error
        old, self._credentials = self._credentials, fresh
        same_session = (
            fresh.server == old.server
            and fresh.authority == old.authority
            and fresh.certificate == old.certificate
            and fresh.private_key == old.private_key
        )
        if not same_session:
            await self.close()


def _json_object(raw: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(raw)
    except ValueError:
        return {"message": raw[:300].decode(errors="replace")}
    return content if isinstance(content, dict) else {}


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
