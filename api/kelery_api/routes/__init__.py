"""The HTTP endpoints. Each module has one router, and each route has an authorization rule."""

from __future__ import annotations

from fastapi import APIRouter

from kelery_api.routes import documents, health, keys, quickstart, taskruns, workers_and_queues

ROUTERS: tuple[APIRouter, ...] = (
    # The first match serves, so the most frequent requests come first.
    taskruns.router,
    keys.router,
    quickstart.router,
    workers_and_queues.router,
    health.router,
    documents.router,
)
