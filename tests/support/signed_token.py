"""Service account tokens signed with the API server's own key.

For tokens that it never issues, such as an expired one. ES256 is one signature on the curve P-256.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.support import p256

#: The position of the private number in `kelery dev`'s key files (RFC 5915).
_NUMBER = slice(7, 39)


def with_claims(token: str, *, key: Path, **claims: object) -> str:
    """The same token with changed claims and a new signature."""
    head, body, _ = token.split(".")
    changed = {**json.loads(_decoded(body)), **claims}
    signed = f"{head}.{_encoded(json.dumps(changed).encode())}"
    return f"{signed}.{_encoded(_signature(signed.encode(), key=_private_number(key)))}"


def _private_number(key: Path) -> int:
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-----")]
    return int.from_bytes(base64.b64decode("".join(lines))[_NUMBER], "big")


def _signature(message: bytes, *, key: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in p256.signature(message, key=key))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
