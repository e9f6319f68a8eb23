"""Makes the `Submission` of a run from its spec and the identity of its object."""

from __future__ import annotations

from kelery import json_codec
from kelery.ledger.types import Submission
from kelery.run import run_message
from kelery.run.model import RunSpec
from kelery.run.phases import Reason
from kelery.settings import LedgerSettings
from kelery.taskrun.resource import KIND, Identity
from kelery.taskrun.spec import fingerprint, render_spec

#: The task's name in the record of a run whose spec has no readable one.
_NO_TASK = "invalid"


def submission_of(
    spec: RunSpec,
    *,
    who: Identity,
    cluster: str,
    settings: LedgerSettings,
    born_final: Reason | None = None,
    error_json: str = "",
    spec_hash: str | None = None,
) -> Submission:
    """The submission of a TaskRun. Its hash is the spec's `fingerprint`, unless `spec_hash` is given."""
    queue = spec.queue or settings.default_queue
    return Submission(
        uid=who.uid,
        cluster=cluster,
        namespace=who.namespace,
        name=who.name,
        origin=KIND,
        spec=spec,
        spec_json=json_codec.compact(render_spec(spec)),
        spec_hash=fingerprint(spec) if spec_hash is None else spec_hash,
        queue=queue,
        queue_key=settings.queue_key(queue),
        run_message=run_message.make(
            uid=who.uid, task=spec.task, args=spec.args, kwargs=spec.kwargs, queue=queue
        ),
        born_final=born_final,
        error_json=error_json,
    )


def submission_of_unreadable(
    *, task: str, who: Identity, cluster: str, settings: LedgerSettings, reason: Reason, message: str
) -> Submission:
    """The submission of a TaskRun that has failed because its spec cannot be run. It keeps only the task's
    name; `task` is "" if that is unreadable.
    """
    error = json_codec.compact({"type": reason.value, "message": message, "traceback": ""})
    return submission_of(
        RunSpec(task=task or _NO_TASK),
        who=who,
        cluster=cluster,
        settings=settings,
        born_final=reason,
        error_json=error,
    )
