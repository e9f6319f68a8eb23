"""HTTP in, HTTP out: each module has one router, and each route its rule."""

from __future__ import annotations

from fastapi import APIRouter

from kelery_api.routes import documents, health, keys, quickstart, taskruns, workers_and_queues

ROUTERS: tuple[APIRouter, ...] = (
    # The first that matches serves: what is asked most often comes first.
    taskruns.router,
    keys.router,
    quickstart.router,
    workers_and_queues.router,
    health.router,
    documents.router,
)
