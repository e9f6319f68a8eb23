"""How a request to run a task becomes what the ledger takes, the same for every route that takes one.

Invariant: nobody gets a submission of a task that they may not use.
"""

from __future__ import annotations

from fastapi import Request

from kelery.ledger.types import Submission
from kelery.run.model import RunSpec
from kelery_api.access.guarded_route import requester_of
from kelery_api.access.permission import Permission
from kelery_api.gateway import gateway_of
from kelery_api.runs import submissions


async def permitted_submission(
    request: Request,
    spec: RunSpec,
    *,
    namespace: str,
    name: str | None = None,
    idempotency_key: str | None = None,
) -> Submission:
    """The requester's run; Problem if they may not use its task."""
    gateway, requester = gateway_of(request), requester_of(request)
    permission = Permission(verb="use", resource="tasks", namespace=namespace, name=spec.task)
    await gateway.authorizer.require(requester, permission)
    return submissions.submission(
        spec,
        uid=submissions.new_uid(namespace=namespace, requester=requester, idempotency_key=idempotency_key),
        namespace=namespace,
        name=name,
        requester=requester,
        settings=gateway.settings.ledger,
        retain_seconds=gateway.settings.retain_seconds,
    )
