"""An asyncio client of the API server, with one shared HTTP session and a limited number of connections.

Credentials come from a `Login`, which runs off the event loop, once for all waiting requests. Answers are
values. A request without a usable answer (no connection, 5xx, throttling, refusal) raises `KubeError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from kelery.errors import KeleryError
from kelery.kube.answer import Answer, KubeError, answer_of
from kelery.kube.credentials import Credentials
from kelery.kube.login import Login, off_loop

_REQUEST_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(slots=True)
class _Opened:
    """An HTTP session and its credentials. A replaced session closes after its last request."""

    session: aiohttp.ClientSession
    credentials: Credentials
    requests: int = 0


class ClusterSession:
    """All requests of one process.

    `client_name` is the user agent. It names the process in audit logs, and the field manager of its writes.
    `connections` limits the connections; 0 means no limit.
    """

    def __init__(
        self,
        login: Login,
        *,
        client_name: str,
        connections: int = 32,
        request_seconds: float = _REQUEST_SECONDS,
    ) -> None:
        self._login = login
        self._headers = {"Accept": "application/json", "User-Agent": client_name}
        self._connections = connections
        self._seconds = request_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=request_seconds, connect=min(_CONNECT_SECONDS, request_seconds)
        )
        self._reading: asyncio.Future[Credentials] | None = None
        self._session: _Opened | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request. Bytes are sent unchanged. A 401 renews the credentials and retries once."""
        data = json.dumps(body, allow_nan=False).encode() if not isinstance(body, bytes | None) else body
        headers = {} if data is None else {"Content-Type": content_type}

        async def send(credentials: Credentials) -> Answer:
            async with self._sent(
                method, path, credentials=credentials, query=query, data=data, headers=headers
            ) as response:
                content = await response.read()
                return answer_of(response.status, content, retry_after=response.headers.get("Retry-After"))

        credentials = await self._credentials()
        answer = await send(credentials)
        if answer.status == 401:
            renewed = await self._credentials(refused=credentials)
            answer = answer if renewed is credentials else await send(renewed)
        if answer.status in (401, 403, 429) or answer.status >= 500:
            raise answer.error()
        return answer

    @contextlib.asynccontextmanager
    async def lines(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer as they arrive, such as the events of a watch."""
        timeout = aiohttp.ClientTimeout(total=None, connect=self._timeout.connect, sock_read=self._seconds)
        credentials = await self._credentials()
        async with contextlib.AsyncExitStack() as stack:

            async def send(credentials: Credentials) -> aiohttp.ClientResponse:
                sent = self._sent("GET", path, credentials=credentials, query=query, timeout=timeout)
                return await stack.enter_async_context(sent)

            response = await send(credentials)
            if response.status == 401:
                renewed = await self._credentials(refused=credentials)
                response = response if renewed is credentials else await send(renewed)
            if response.status != 200:
                content = await response.read()
                raise answer_of(response.status, content, retry_after=None).error()
            yield aiter(response.content)

    async def close(self) -> None:
        """Close the session."""
        opened, self._session = self._session, None
        if opened is not None:
            await opened.session.close()
        if self._closing:
            await asyncio.wait(self._closing)

    @contextlib.asynccontextmanager
    async def _sent(
        self,
        method: str,
        path: str,
        *,
        credentials: Credentials,
        query: Mapping[str, str] | None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        opened = self._opened_for(credentials)
        opened.requests += 1
        try:
            async with opened.session.request(
                method,
                credentials.server + path,
                params=query,
                headers={**credentials.headers(), **self._headers, **(headers or {})},
                data=data,
                proxy=credentials.proxy_url,
                timeout=timeout or self._timeout,
            ) as response:
                yield response
        except _FAILURES as error:
            raise KubeError(f"the API server does not answer: {type(error).__name__}", status=0) from error
        finally:
            opened.requests -= 1
            if opened is not self._session:
                self._close_if_idle(opened)

    async def _credentials(self, *, refused: Credentials | None = None) -> Credentials:
        """The credentials, other than `refused`. Waits no longer than the time limit of a request."""
        if refused is None and (fresh := self._login.fresh()) is not None:
            return fresh
        if self._reading is None or self._reading.done():
            login = self._login
            self._reading = off_loop(
                functools.partial(login.renew, refused=refused) if refused else login.credentials
            )
        reading = self._reading
        await asyncio.wait({reading}, timeout=self._seconds)
        if not reading.done():
            raise KubeError("the credentials for the API server are still being renewed", status=0)
        try:
            return reading.result()
        except KeleryError as error:
            raise KubeError(f"cannot renew the credentials for the API server: {error}", status=0) from error

    def _opened_for(self, credentials: Credentials) -> _Opened:
        """The session for these credentials. A new token needs new headers only."""
        old = self._session
        if old is not None and (
            old.credentials is credentials or old.credentials.same_connection(credentials)
        ):
            return old
        secure = credentials.server.startswith("https:")
        connector = aiohttp.TCPConnector(
            limit=self._connections, ssl=credentials.trust() if secure else True, keepalive_timeout=60
        )
        self._session = _Opened(aiohttp.ClientSession(connector=connector), credentials)
        if old is not None:
            self._close_if_idle(old)
        return self._session

    def _close_if_idle(self, replaced: _Opened) -> None:
        if not replaced.requests:
            task = asyncio.create_task(replaced.session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
