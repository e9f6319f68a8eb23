"""uvicorn's HTTP protocol with limits on the size and duration of headers, and with problem documents.

The parser alone accepts headers of any size and waits for them indefinitely. Invariant: a connection without
a response in progress holds at most MAX_HEAD_BYTES plus one read, for at most HEAD_SECONDS.
"""

from __future__ import annotations

import asyncio
import uuid

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from kelery_api.http.problems import Kind, Problem, response_of

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    #: Can be true after the response, if that did not wait for the body.
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_body or (self._is_responding and not self._in_head):
            self._head_bytes = 0
        if self._in_head or not self._is_responding:
            # Also for bytes that begin no request: they have stopped uvicorn's own keep-alive timer.
            self._start_clock()
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(
                Problem(
                    Kind.HEADERS_TOO_LARGE,
                    f"request line and headers are larger than {MAX_HEAD_BYTES} bytes; send smaller ones",
                )
            )

    def on_message_begin(self) -> None:
        self._in_head = True
        self._stop_clock()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body, self._head_bytes = False, True, 0
        self._stop_clock()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for a request that cannot be parsed."""
        self._refuse(Problem(Kind.BAD_REQUEST, "the request is not valid HTTP/1.1"))

    @property
    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _start_clock(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._is_responding:
            # A pipelined request can wait while the previous response is in progress.
            self._start_clock()
        elif self._in_head:
            self._refuse(
                Problem(Kind.REQUEST_TIMEOUT, f"the headers took longer than {HEAD_SECONDS:.0f} seconds")
            )
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Respond and close the connection. If a response is in progress, only close."""
        if not self._is_responding:
            request_id = uuid.uuid4().hex
            response = response_of(problem, path="", request_id=request_id)
            headers = [
                *response.raw_headers,
                (b"x-request-id", request_id.encode()),
                (b"connection", b"close"),
            ]
            lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
            body = bytes(response.body)
            self.transport.write(STATUS_LINE[problem.kind.status] + lines + b"\r\n" + body)
        self.transport.close()
