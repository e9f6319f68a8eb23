"""The target of a benchmark: cluster, task and namespaces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kelery.kube.sync_session import SyncSession

#: A task of the demo that the chart installs; it needs no arguments and only returns a greeting.
DEFAULT_TASK = "demo.hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The user's choices; None means the default."""

    access: SyncSession
    #: An existing namespace; None means a new one for this benchmark.
    namespace: str | None = None
    task: str = DEFAULT_TASK
    #: None means the installation's default.
    queue: str | None = None
    #: The image of the Jobs; None means the workers' image.
    image: str | None = None
    #: The namespace of the workers' pods; None means all namespaces.
    worker_namespace: str | None = None

    @property
    def spec(self) -> dict[str, str]:
        """The spec of each TaskRun."""
        return {"task": self.task, **({"queue": self.queue} if self.queue else {})}


def is_namespace_name(text: str) -> bool:
    """Whether Kubernetes accepts the name; other text must not get into a path."""
    return len(text) <= 63 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) is not None
