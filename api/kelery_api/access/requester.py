"""The user of a request, with the attributes that a SubjectAccessReview needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """A user of the cluster. `name` is empty only with KELERY_AUTH=none."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    #: Compared, but not hashed, because a mapping has no hash.
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


NOBODY = Requester(name="")
