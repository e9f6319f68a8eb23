"""Who asks, as the API server knows them: what a SubjectAccessReview needs to be told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """A user of the cluster; `name` is "" only where nobody was asked (KELERY_AUTH=none)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    #: Not part of the hash, which a mapping has none of; it is compared.
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


NOBODY = Requester(name="")
