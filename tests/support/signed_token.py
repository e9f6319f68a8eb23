"""Service account tokens as the API server itself would have signed them: with its own key.

For tokens that it gives to nobody, such as one that has expired. ES256 is one signature on the curve P-256:
some lines of arithmetic, not worth a crypto library. Far too slow and leaky for anything but a test.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_A = _P - 3
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
#: Where RFC 5915 has the number in the key files that `kelery dev` writes.
_NUMBER = slice(7, 39)

Point = tuple[int, int] | None


def with_claims(token: str, *, key: Path, **claims: object) -> str:
    """The same token with other claims, signed anew."""
    head, body, _ = token.split(".")
    changed = {**json.loads(_decoded(body)), **claims}
    signed = f"{head}.{_encoded(json.dumps(changed).encode())}"
    return f"{signed}.{_encoded(_signature(signed.encode(), number=_private_number(key)))}"


def _private_number(key: Path) -> int:
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-----")]
    return int.from_bytes(base64.b64decode("".join(lines))[_NUMBER], "big")


def _signature(message: bytes, *, number: int) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    nonce = secrets.randbelow(_N - 1) + 1
    point = _times(nonce, _G)
    assert point is not None
    r = point[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * number) % _N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _plus(total, point)
        point = _plus(point, point)
        factor >>= 1
    return total


def _plus(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % _P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 + _A) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P) % _P
    x = (slope**2 - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
