"""Parses the Authorization header, and reads the expiry of a token.

It checks the form only. Whether a token is valid, the API server decides.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

_LONGEST = 16 * 1024
# RFC 6750's b64token; the scheme's case does not matter (RFC 9110).
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)", re.ASCII)


def token_of(authorization: str) -> str | None:
    """The token, or None if the header does not hold exactly one."""
    found = _BEARER.fullmatch(authorization) if len(authorization) <= _LONGEST else None
    return found[1] if found else None


def fingerprint(token: str) -> bytes:
    """A hash of the token, used as the key of caches."""
    return hashlib.sha256(token.encode()).digest()


def expiry_of(token: str) -> float | None:
    """The token's `exp` in seconds since the epoch; None if it has none.

    The claim is not verified. A forged one can only shorten the time in the cache.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
        expiry: Any = claims.get("exp") if isinstance(claims, dict) else None
        return float(expiry) if type(expiry) in (int, float) else None
    except (ValueError, OverflowError, RecursionError):
        return None
