"""HTTP in, HTTP out: each module has one router, and each route its rule."""

from __future__ import annotations

from fastapi import APIRouter

from kelery_api.routes import documents, first_doors, fleet, health, keys, taskruns

ROUTERS: tuple[APIRouter, ...] = (
    # The first that matches serves: what is asked most often comes first.
    taskruns.router,
    keys.router,
    first_doors.router,
    fleet.router,
    health.router,
    documents.router,
)
