"""The Celery plug-in: it lets the worker of an unmodified app execute runs (`celery -A proj worker -I
kelery_worker`).

Task code may use `progress` and `fence`. Outside a run they do nothing, so the same code works as a plain
Celery task. Plain Celery messages pass the plug-in unchanged.
"""

from kelery_worker.plugin import install
from kelery_worker.task_api import fence, progress

__all__ = ["fence", "progress"]

install()
