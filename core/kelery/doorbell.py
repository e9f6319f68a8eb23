"""The Celery message of a run (protocol 2), cut where the ledger writes its delivery tag.

The message is only a doorbell: it may be lost or doubled, and the claim tells. Its delivery tag is
"<uid>:<attempt>:<push>", so a late copy that rings for an older attempt is told apart from the one that
counts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Marks a message as Kelery's; the value is the run's uid. Custom headers reach `self.request`.
HEADER = "x-kelery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorbell:
    """A message in two halves; between them goes the delivery tag."""

    head: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What a delivery tag says: which attempt of which run it rings for."""

    uid: str
    attempt: int


def make(
    *, uid: str, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], queue: str, retries: int = 0
) -> Doorbell:
    """The message that starts `task` as run `uid`; the task id is the uid, so `AsyncResult(uid)` works."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([list(args), dict(kwargs), embed]).encode()
    headers = {
        "lang": "py",
        "task": task,
        "id": uid,
        "root_id": uid,
        "parent_id": None,
        "group": None,
        "retries": retries,
        "eta": None,
        "expires": None,
        "timelimit": [None, None],
        # Shown by event monitors: args stay out of them.
        "argsrepr": "(...)",
        "kwargsrepr": "{...}",
        "origin": "kelery",
        "ignore_result": False,
        HEADER: uid,
    }
    properties = {
        "correlation_id": uid,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
    }
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
    }
    head = f'{json.dumps(envelope)[:-1]}, "properties": {json.dumps(properties)[:-1]}, "delivery_tag": "'
    return Doorbell(head=head, tail='"}}')


def read_tag(delivery_tag: str) -> Tag | None:
    """The tag's meaning; None if the ledger did not write it."""
    uid, _, rest = delivery_tag.partition(":")
    attempt, _, push = rest.partition(":")
    if not (uid and attempt.isdigit() and push.isdigit()):
        return None
    return Tag(uid=uid, attempt=int(attempt))
