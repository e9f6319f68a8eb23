"""X.509 certificates from a test's own authority, for servers and for clients that log in with one.

DER is only lengths and contents, so this module needs no crypto library.
"""

from __future__ import annotations

import base64
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import p256

_ECDSA_SHA256 = "1.2.840.10045.4.3.2"
_EC_KEY, _P256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7"
_COMMON_NAME, _ORGANIZATION = "2.5.4.3", "2.5.4.10"
_BASIC_CONSTRAINTS, _ALTERNATIVE_NAMES = "2.5.29.19", "2.5.29.17"
_SEQUENCE, _SET, _TRUE = 0x30, 0x31, b"\x01\x01\xff"
_FOREVER = (b"200101000000Z", b"491231235959Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    private_key: str = field(repr=False)


class Authority:
    """Signs any certificate that a test needs."""

    def __init__(self, name: str = "test authority") -> None:
        self._name = _name(name)
        self._key = p256.new_key()
        self.certificate = _pem("CERTIFICATE", self._certificate(self._name, self._key, hosts=(), is_ca=True))

    def pair(self, name: str, *, hosts: Sequence[str] = (), group: str = "") -> Pair:
        """A certificate for a server with these names and addresses, or for a user in a group."""
        key = p256.new_key()
        body = _integer(1) + _tlv(4, key.to_bytes(32, "big")) + _tlv(0xA0, _identifier(_P256))
        return Pair(
            certificate=_pem("CERTIFICATE", self._certificate(_name(name, group), key, hosts=hosts)),
            private_key=_pem("EC PRIVATE KEY", _tlv(_SEQUENCE, body)),
        )

    def server_context(self, folder: Path, *, hosts: Sequence[str]) -> ssl.SSLContext:
        """For a server with these names. Clients may log in with a certificate of this authority."""
        pair, file = self.pair("server", hosts=hosts), folder / "server.pem"
        file.write_text(pair.certificate + pair.private_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.load_verify_locations(cadata=self.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def _certificate(self, subject: bytes, key: int, *, hosts: Sequence[str], is_ca: bool = False) -> bytes:
        algorithm = _tlv(_SEQUENCE, _identifier(_ECDSA_SHA256))
        x, y = p256.public_point(key)
        point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
        public = _tlv(_SEQUENCE, _identifier(_EC_KEY) + _identifier(_P256)) + _tlv(3, b"\0" + point)
        extensions = [_extension(_BASIC_CONSTRAINTS, _tlv(_SEQUENCE, _TRUE if is_ca else b""), critical=True)]
        if hosts:
            names = b"".join(_alternative_name(host) for host in hosts)
            extensions.append(_extension(_ALTERNATIVE_NAMES, _tlv(_SEQUENCE, names)))
        body = _tlv(
            _SEQUENCE,
            _tlv(0xA0, _integer(2))
            + _integer(p256.new_key() >> 130)
            + algorithm
            + self._name
            + _tlv(_SEQUENCE, b"".join(_tlv(0x17, moment) for moment in _FOREVER))
            + subject
            + _tlv(_SEQUENCE, public)
            + _tlv(0xA3, _tlv(_SEQUENCE, b"".join(extensions))),
        )
        r, s = p256.signature(body, key=self._key)
        signed = _tlv(3, b"\0" + _tlv(_SEQUENCE, _integer(r) + _integer(s)))
        return _tlv(_SEQUENCE, body + algorithm + signed)


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    digits = size.to_bytes(-(-size.bit_length() // 8), "big")
    length = bytes([size]) if size < 128 else bytes([128 | len(digits)]) + digits
    return bytes([tag]) + length + content


def _integer(number: int) -> bytes:
    return _tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _identifier(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytes([first * 40 + second])
    for part in rest:
        digits = [part & 127]
        while part := part >> 7:
            digits.insert(0, part & 127 | 128)
        content += bytes(digits)
    return _tlv(6, content)


def _name(common: str, group: str = "") -> bytes:
    parts = [(_ORGANIZATION, group)] if group else []
    return _tlv(
        _SEQUENCE,
        b"".join(
            _tlv(_SET, _tlv(_SEQUENCE, _identifier(kind) + _tlv(12, text.encode())))
            for kind, text in [*parts, (_COMMON_NAME, common)]
        ),
    )


def _extension(kind: str, content: bytes, *, critical: bool = False) -> bytes:
    return _tlv(_SEQUENCE, _identifier(kind) + (_TRUE if critical else b"") + _tlv(4, content))


def _alternative_name(host: str) -> bytes:
    try:
        return _tlv(0x87, ipaddress.ip_address(host).packed)
    except ValueError:
        return _tlv(0x82, host.encode())


def _pem(kind: str, content: bytes) -> str:
    lines = base64.encodebytes(content).decode()
    return f"-----BEGIN {kind}-----\n{lines}-----END {kind}-----\n"
