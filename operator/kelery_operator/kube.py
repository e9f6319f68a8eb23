"""The API server over one shared HTTP session: the few requests about TaskRuns that the operator makes
itself.

Bounded in connections, credentials read again every few minutes and after a 401. Answers are values; only
what leaves the caller without an answer (no connection, 5xx, throttling, refusal) is raised, as
`KubeError`.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from kelery.errors import KeleryError
from kelery.manifest import GROUP, PLURAL, VERSION
from kelery_operator.credentials import Credentials

_CREDENTIALS_SECONDS = 300.0
_REQUEST_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_PAGE = 500
#: The user agent names the field manager of what we write, and us in audit logs.
_HEADERS = {"Accept": "application/json", "User-Agent": "kelery-operator"}
_API = f"/apis/{GROUP}/{VERSION}"


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


class KubeApi:
    """Requests about TaskRuns."""

    def __init__(self, load: Callable[[], Credentials], *, connections: int = 32) -> None:
        self._load = load
        self._connections = connections
        self._credentials = load()
        self._loaded_at = time.monotonic()
        self._session: aiohttp.ClientSession | None = None

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The TaskRun of that name; None only if the server says that this object does not exist."""
        answer = await self._request("GET", _path(namespace, name))
        if answer.says_absent(name):
            return None
        if answer.status != 200:
            raise answer.error()
        return answer.body

    async def pages(
        self, namespaces: Sequence[str], *, field_selector: str = ""
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """All TaskRuns in scope (no namespaces: the cluster), page by page."""
        for namespace in namespaces or ("",):
            token = ""
            while True:
                query = {"limit": str(_PAGE), "continue": token, "fieldSelector": field_selector}
                answer = await self._request(
                    "GET", _path(namespace, ""), query={k: v for k, v in query.items() if v}
                )
                if answer.status != 200:
                    raise answer.error()
                yield answer.body.get("items") or []
                token = (answer.body.get("metadata") or {}).get("continue") or ""
                if not token:
                    break

    async def put_status(self, namespace: str, name: str, *, uid: str, status: Mapping[str, Any]) -> Answer:
        """Replace the whole status, if the object is still the one with that uid."""
        # "add" replaces what is there; the test makes a new object of the same name refuse it.
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        return await self._request(
            "PATCH",
            _path(namespace, name) + "/status",
            body=patch,
            content_type="application/json-patch+json",
        )

    async def delete(self, namespace: str, name: str, *, uid: str, resource_version: str) -> Answer:
        """Delete exactly the object that was read, in exactly that state."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        return await self._request(
            "DELETE",
            _path(namespace, name),
            body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions},
        )

    async def is_served(self) -> bool:
        """Whether the CRD is there and its resource is served."""
        answer = await self._request("GET", _API)
        if answer.status not in (200, 404):
            raise answer.error()
        return any(resource.get("name") == PLURAL for resource in answer.body.get("resources") or ())

    async def namespace_uid(self, name: str) -> str:
        """The uid of a namespace."""
        answer = await self._request("GET", f"/api/v1/namespaces/{name}")
        if answer.status != 200:
            raise answer.error()
        return str((answer.body.get("metadata") or {}).get("uid") or "")

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Answer:
        answer = await self._send(method, path, query=query, body=body, content_type=content_type)
        if answer.status == 401:
            await self._reload()
            answer = await self._send(method, path, query=query, body=body, content_type=content_type)
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise answer.error()
        return answer

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None, body: object, content_type: str
    ) -> Answer:
        if time.monotonic() - self._loaded_at > _CREDENTIALS_SECONDS:
            await self._reload()
        session = self._session or self._open()
        headers = {**self._credentials.headers(), **_HEADERS}
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
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS, connect=_CONNECT_SECONDS),
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


def _path(namespace: str, name: str) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{_API}{scope}/{PLURAL}" + (f"/{name}" if name else "")


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
