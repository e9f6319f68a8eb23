"""The benchmark's tasks with a short result expiry, so that Celery's results do not accumulate in a soak."""

from __future__ import annotations

from kelery_bench.tasks import app

#: The value for `-A` of a worker.
APP = "kelery_bench.endurance.soak_app"

__all__ = ["app"]

app.conf.result_expires = 10
