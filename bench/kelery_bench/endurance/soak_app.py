"""The benchmark's tasks, with results that Celery forgets soon: in a soak their number must not grow."""

from __future__ import annotations

from kelery_bench.tasks import app

#: As `-A` of a worker takes it.
APP = "kelery_bench.endurance.soak_app"

__all__ = ["app"]

app.conf.result_expires = 10
