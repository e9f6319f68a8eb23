"""The Celery message of a run (protocol 2), split where the ledger inserts the delivery tag.

Invariant: a lost or duplicated message changes nothing, because the claim decides. The delivery tag is
"<uid>:<attempt>:<push>". It identifies a copy for an older attempt, or for a purged run with the same uid.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Marks a message of Kelery. Its value is the run's uid. Custom headers reach `self.request`.
HEADER = "x-kelery"
#: The name of the real task. The message itself names a task that no worker has. So a worker without the
#: plug-in rejects it instead of running it without a claim, and the ledger sends the message again.
TASK_HEADER = "x-kelery-task"
STAND_IN_TASK = "kelery.run (start this worker with -I kelery_worker)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMessage:
    """The two halves of a message, before and after the delivery tag."""

    head: str
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A delivery tag: the run, its attempt, and the number of the message."""

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
    """The message that starts `task` as run `uid`. The task id is the uid, so `AsyncResult(uid)` works.

    `dumps` encodes the arguments. Those of Celery's own retries may need Celery's JSON encoder.
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
        # Event monitors show these, so the arguments are left out.
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
    """The parsed tag; None if the ledger did not write it."""
    uid, _, rest = delivery_tag.partition(":")
    attempt, _, push = rest.partition(":")
    if not (uid and attempt.isdigit() and push.isdigit()):
        return None
    return Tag(uid=uid, attempt=int(attempt), push=int(push))
