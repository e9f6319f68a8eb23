"""What is measured: whose cluster, which task, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kelery.kube.sync_session import SyncSession

#: Of the demo that the chart installs; takes no arguments, and does no more than return a greeting.
DEFAULT_TASK = "demo.hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the person chose; None is "find out"."""

    access: SyncSession
    #: One that exists and stays; None means a new one for this run.
    namespace: str | None = None
    task: str = DEFAULT_TASK
    #: None means the installation's default.
    queue: str | None = None
    #: Of the Jobs; None means the workers'.
    image: str | None = None
    #: Where the workers' pods are; None means anywhere.
    worker_namespace: str | None = None

    @property
    def spec(self) -> dict[str, str]:
        """Of each TaskRun."""
        return {"task": self.task, **({"queue": self.queue} if self.queue else {})}


def is_namespace_name(text: str) -> bool:
    """As Kubernetes takes it; what else there is would end up in a path."""
    return len(text) <= 63 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) is not None
