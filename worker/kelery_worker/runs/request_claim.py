"""The claim on a run, as the start gate puts it into the request that goes to a pool child."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: In Celery's request dict, which crosses to the child: so the claim is a plain dict there.
_FIELD = "kelery_claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClaim:
    """What the child needs to know of a claim."""

    uid: str
    fence: int
    worker_nonce: str


def put(request: dict[str, Any], claim: RequestClaim) -> None:
    """Let the request carry the claim."""
    request[_FIELD] = asdict(claim)


def read(request: Mapping[str, Any]) -> RequestClaim | None:
    """The claim that the request carries; None if it did not pass the gate, whatever somebody put there."""
    fields = request.get(_FIELD)
    if not isinstance(fields, dict) or fields.keys() != RequestClaim.__dataclass_fields__.keys():
        return None
    return RequestClaim(**fields)
