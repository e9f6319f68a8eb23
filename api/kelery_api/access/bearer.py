"""The Authorization header: a bearer token or nothing, and how long such a token can at most be good.

A token is looked at for its form and its `exp` alone; whether it is good, only the API server says.
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
    """The token, if the header holds exactly one."""
    found = _BEARER.fullmatch(authorization) if len(authorization) <= _LONGEST else None
    return found[1] if found else None


def fingerprint(token: str) -> bytes:
    """What stands for the token wherever one is remembered."""
    return hashlib.sha256(token.encode()).digest()


def expiry_of(token: str) -> float | None:
    """The `exp` that the token shows, in seconds since the epoch.

    Nobody has verified it: a forged one may only make us ask sooner.
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
