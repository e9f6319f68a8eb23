"""`/v1/queues` and `/v1/workers`: the load of queues, and the workers that consume from them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import needs
from kelery_api.gateway import gateway_of
from kelery_api.http.responses import json_response
from kelery_api.models import Queue, QueueList, WorkerList
from kelery_api.ops import workers_and_queues
from kelery_api.ops.workers_and_queues import QueueStats

router = APIRouter(prefix="/v1", tags=["workers and queues"], route_class=GuardedRoute)


@router.get("/queues", response_model=QueueList, response_description="The queues.")
@needs("list", everywhere=True)
async def list_queues(request: Request) -> Response:
    """List Celery queues with their waiting messages, running runs, and workers."""
    gateway = gateway_of(request)
    settings = gateway.settings.ledger
    queues = await workers_and_queues.queues(
        gateway.ledger, alive_within=settings.lease.seconds, default_queue=settings.default_queue
    )
    listed: QueueList = {"items": [_queue(stats) for stats in queues]}
    return json_response(listed)


@router.get("/workers", response_model=WorkerList, response_description="The workers.")
@needs("list", everywhere=True)
async def list_workers(request: Request) -> Response:
    """List the workers with Kelery's plug-in that reported within the last hour, and their runs."""
    gateway = gateway_of(request)
    lease = gateway.settings.ledger.lease
    listed: WorkerList = {
        "items": await workers_and_queues.workers(gateway.ledger, alive_within=lease.seconds)
    }
    return json_response(listed)


def _queue(stats: QueueStats) -> Queue:
    return {
        "name": stats.queue,
        "queued": stats.queued,
        "running": stats.running,
        "workers": stats.workers,
    }
