"""What somebody may be allowed to do, in the words of RBAC, and how to ask for it by hand.

The gateway has no rights of its own making: everything here is what a Role can say and what
`kubectl auth can-i` answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kelery.taskrun.resource import GROUP

Verb = Literal["create", "get", "list", "watch", "patch", "delete", "use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A verb on a resource of Kelery's group; no namespace means all of them, no name every one."""

    verb: Verb
    namespace: str
    resource: Literal["taskruns", "tasks"] = "taskruns"
    name: str = ""

    def __post_init__(self) -> None:
        # Without a name it would ask for the right to every task there is.
        if self.resource == "tasks" and not self.name:
            raise ValueError("a permission on tasks names one task")

    def __str__(self) -> str:
        where = f"in the namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {self._resource} {where}"

    @property
    def question(self) -> str:
        """The command that answers the same question."""
        where = f"-n {self.namespace}" if self.namespace else "--all-namespaces"
        if self.resource == "tasks":
            # No API server serves tasks, and of what is not served kubectl asks without its group: always no.
            return f"kubectl auth can-i --list {where}"
        return f"kubectl auth can-i {self.verb} {self._resource} {where}"

    @property
    def _resource(self) -> str:
        return f"{self.resource}.{GROUP}" + (f"/{self.name}" if self.name else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPermission:
    """A verb on a path that is no resource, as `nonResourceURLs` of a ClusterRole name it."""

    verb: Verb
    path: str

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def question(self) -> str:
        """The command that answers the same question."""
        return f"kubectl auth can-i {self.verb} {self.path}"


AnyPermission = Permission | PathPermission
