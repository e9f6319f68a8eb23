"""Who we are at the API server: an address and the right to use it.

A value, however it was read. Invariant: no secret is part of a message or a repr.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An address and the right to use it; PEM data as text."""

    server: str
    authority: str | None = field(default=None, repr=False)
    insecure: bool = False
    #: The name that the server's certificate must have, where it is not that of the address.
    tls_server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    impersonate: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    #: In seconds since 1970, by a plug-in's word; infinite if it said nothing. None: files, which may change.
    expires_at: float | None = None

    def headers(self) -> dict[str, str]:
        """The headers that say who we are, if there are any."""
        headers = {"Impersonate-User": self.impersonate} if self.impersonate else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif self.username:
            pair = f"{self.username}:{self.password or ''}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers

    def trust(self) -> ssl.SSLContext:
        """Whom we trust and the certificate that we show."""
        context = _NamedServer(ssl.PROTOCOL_TLS_CLIENT)
        context.server_name = self.tls_server_name
        # As kubectl: each certificate in the authority is trusted, also one that another has signed. And it
        # need not name its key and its purpose, as a default context of Python 3.13 demands: EKS's does not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority:
            context.load_verify_locations(cadata=self.authority)
        else:
            context.load_default_certs()
        if self.certificate and self.private_key:
            # The ssl module takes a client certificate from a file only; this one is private and short-lived.
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(f"{self.certificate}\n{self.private_key}\n")
                pem.flush()
                # With a password, since OpenSSL would ask the terminal for that of an encrypted key.
                context.load_cert_chain(pem.name, password="")
        return context

    def same_connection(self, other: Credentials) -> bool:
        """Whether a connection that was opened for the one serves the other too; headers may differ."""
        return _connection(self) == _connection(other)


class _NamedServer(ssl.SSLContext):
    """Verifies another name than that of the address, if it has one.

    Every client that is handed a context asks it for the TLS connection, and only some can be given the name.
    """

    server_name: str | None = None

    def wrap_socket(
        self,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        name = self.server_name or server_hostname
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session
        )

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        name = self.server_name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, name, session)


def _connection(credentials: Credentials) -> tuple[object, ...]:
    return (
        credentials.server,
        credentials.authority,
        credentials.insecure,
        credentials.tls_server_name,
        credentials.certificate,
        credentials.private_key,
    )
