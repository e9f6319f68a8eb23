"""The Celery plug-in that makes an unmodified app's worker run Kelery's runs: `celery -A proj worker -I
kelery_worker`.

Task code may use `progress` and `fence`; outside a run they do nothing, so the same code also runs as a plain
Celery task. Plain Celery messages pass the plug-in untouched.
"""

from kelery_worker.plugin import install
from kelery_worker.task_api import fence, progress

__all__ = ["fence", "progress"]

install()
