"""A fake API server that only authenticates, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that the server received."""

    path: str
    authorization: str
    #: The common name in the client's certificate.
    client: str
    #: The server name that the client sent in the TLS handshake.
    server_name: str


@dataclass(kw_only=True)
class ApiServer:
    """Answers 401 unless `accepts` has the client's token or the name in its certificate."""

    url: str
    accepts: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)
    server_names: list[str] = field(default_factory=list)


@contextlib.contextmanager
def played_api_server(context: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """A fake API server on a free port, with TLS if there is a context."""
    server: ApiServer

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            authorization = self.headers.get("Authorization", "")
            seen = Seen(
                path=self.path,
                authorization=authorization,
                client=_common_name(self.connection),
                server_name=server.server_names[-1] if server.server_names else "",
            )
            server.seen.append(seen)
            known = {authorization.removeprefix("Bearer "), seen.client} & server.accepts
            if known and self.path.startswith("/watch"):
                self._lines()
                return
            body = {"kind": "Status"} if known else {"kind": "Status", "message": "Unauthorized"}
            content = json.dumps(body).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _lines(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in (b'{"n": 1}\n', b'{"n": 2}\n', b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

        def log_message(self, format: str, *args: Any) -> None:
            return

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    port = httpd.server_address[1]
    server = ApiServer(url=f"{'https' if context else 'http'}://127.0.0.1:{port}")
    if context is not None:
        context.sni_callback = lambda _, name, __: server.server_names.append(name or "")
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join(timeout=10)
        httpd.server_close()


@dataclass(kw_only=True)
class Proxy:
    """The proxy's address, and what passed through it."""

    url: str
    #: The head of each CONNECT.
    heads: list[str] = field(default_factory=list)


@contextlib.contextmanager
def played_proxy() -> Iterator[Proxy]:
    """An HTTP proxy that supports CONNECT."""
    listening = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(url=f"http://127.0.0.1:{listening.getsockname()[1]}")

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            proxy.heads.append(head.decode())
            host, _, port = head.split(b" ", 2)[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(there, client), daemon=True)
                back.start()
                _pump(client, there)
                back.join(timeout=10)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


def _common_name(connection: socket.socket) -> str:
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    subject: Any = (shown or {}).get("subject", ())
    return str(dict(part[0] for part in subject).get("commonName", ""))
