"""The claim on a run in the request that the start gate sends to a pool child."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: In Celery's request dict, which crosses to the child: so the claim is a plain dict there.
_FIELD = "kelery_claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClaim:
    """The claim's data for the child."""

    uid: str
    fence: int
    worker_nonce: str


def put(request: dict[str, Any], claim: RequestClaim) -> None:
    """Add the claim to the request."""
    request[_FIELD] = asdict(claim)


def read(request: Mapping[str, Any]) -> RequestClaim | None:
    """The claim in the request; None if the request did not pass the gate."""
    fields = request.get(_FIELD)
    if not isinstance(fields, dict) or fields.keys() != RequestClaim.__dataclass_fields__.keys():
        return None
    return RequestClaim(**fields)
