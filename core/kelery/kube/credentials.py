"""The address of an API server and the credentials for it, as a value.

Invariant: no message and no repr shows a secret.
"""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The address of an API server and the credentials for it. PEM data is text."""

    server: str
    authority: str | None = field(default=None, repr=False)
    insecure: bool = False
    #: The name in the server's certificate, if it differs from the address.
    tls_server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    impersonate: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    #: Seconds since 1970, from a plug-in; infinite if it reported none. None: from files, which may change.
    expires_at: float | None = None

    def headers(self) -> dict[str, str]:
        """The headers for authentication and impersonation; may be empty."""
        headers = {"Impersonate-User": self.impersonate} if self.impersonate else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif self.username:
            pair = f"{self.username}:{self.password or ''}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return headers

    def trust(self) -> ssl.SSLContext:
        """The TLS context: trusted authorities and the client certificate."""
        context = _NamedServer(ssl.PROTOCOL_TLS_CLIENT)
        context.server_name = self.tls_server_name
        # Like kubectl, trust each certificate in the authority, even one that another authority signed.
        # Python 3.13's default context also demands key identifiers and key usage, which EKS's lacks.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority:
            context.load_verify_locations(cadata=self.authority)
        else:
            context.load_default_certs()
        if self.certificate and self.private_key:
            # The ssl module reads a client certificate only from a file. It is private and short-lived.
            with tempfile.NamedTemporaryFile("w") as pem:
                pem.write(f"{self.certificate}\n{self.private_key}\n")
                pem.flush()
                # With an empty password: OpenSSL would ask on the terminal for that of an encrypted key.
                context.load_cert_chain(pem.name, password="")
        return context

    def same_connection(self, other: Credentials) -> bool:
        """Whether a connection opened for one can be used for the other. Headers may differ."""
        return _connection(self) == _connection(other)


class _NamedServer(ssl.SSLContext):
    """Verifies `server_name` instead of the host in the address, if it is set.

    Every HTTP client gets its TLS connections from the context, but not every client accepts a name.
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
