"""Signatures on the curve P-256, in a few lines of arithmetic instead of a crypto library.

For tests only: it is slow, and its timing leaks the key.
"""

from __future__ import annotations

import hashlib
import secrets

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_A = _P - 3
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

Point = tuple[int, int] | None


def new_key() -> int:
    """A private key."""
    return secrets.randbelow(_N - 1) + 1


def public_point(key: int) -> tuple[int, int]:
    """The public key: a point on the curve."""
    point = _times(key, _G)
    assert point is not None
    return point


def signature(message: bytes, *, key: int) -> tuple[int, int]:
    """An ECDSA signature with SHA-256: r and s."""
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    nonce = new_key()
    r = public_point(nonce)[0] % _N
    return r, pow(nonce, -1, _N) * (digest + r * key) % _N


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
