"""Turns a request to run a task into a submission to the ledger, for all routes that create runs.

Invariant: no submission is created for a task that the requester is not allowed to use.
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
    """The submission of the requester's run. Raises Problem if they lack `use` on its task."""
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
