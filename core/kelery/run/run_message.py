"""The Celery message of a run (protocol 2), cut where the ledger writes its delivery tag.

A message is only a hint: it may be lost or delivered twice, and the claim decides. Its delivery tag is
"<uid>:<attempt>:<push>", so a late copy for an older attempt, or for a purged run with the same uid, is
recognized.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Marks a message as Kelery's; the value is the run's uid. Custom headers reach `self.request`.
HEADER = "x-kelery"
#: The name of the task to run. The message itself names one that no worker has: a worker of the queue without
#: the plug-in would run it without a claim. So it rejects the message, and the ledger sends it again.
TASK_HEADER = "x-kelery-task"
STAND_IN_TASK = "kelery.run (start this worker with -I kelery_worker)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMessage:
    """A message in two halves; between them goes the delivery tag."""

    head: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What a delivery tag says: which attempt of which run it is for, and its place among all messages."""

    uid: str
    attempt: int
    push: int


def make(
    *,
    uid: str,
    task: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    queue: str,
    retries: int = 0,
    dumps: Callable[[Any], str] = json.dumps,
) -> RunMessage:
    """The message that starts `task` as run `uid`; the task id is the uid, so `AsyncResult(uid)` works.

    `dumps` writes the arguments: those of Celery's own retries may hold what only Celery's JSON can say.
    """
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = dumps([list(args), dict(kwargs), embed]).encode()
    headers = {
        "lang": "py",
        "task": STAND_IN_TASK,
        TASK_HEADER: task,
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
    return RunMessage(head=head, tail='"}}')


def read_tag(delivery_tag: str) -> Tag | None:
    """The tag's meaning; None if the ledger did not write it."""
    uid, _, rest = delivery_tag.partition(":")
    attempt, _, push = rest.partition(":")
    if not (uid and attempt.isdigit() and push.isdigit()):
        return None
    return Tag(uid=uid, attempt=int(attempt), push=int(push))
