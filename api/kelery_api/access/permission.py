"""Permissions in the terms of RBAC, and the kubectl command that checks each.

The gateway defines no permissions of its own: a Role can grant each of them, and `kubectl auth can-i` shows
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kelery.taskrun.resource import GROUP

Verb = Literal["create", "get", "list", "watch", "patch", "delete", "use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A verb on a resource of Kelery's API group. No namespace means all; no name means every object."""

    verb: Verb
    namespace: str
    resource: Literal["taskruns", "tasks"] = "taskruns"
    name: str = ""

    def __post_init__(self) -> None:
        # Without a name, the review would ask for permission to use every task.
        if self.resource == "tasks" and not self.name:
            raise ValueError("name is empty: a permission on tasks names one task")

    def __str__(self) -> str:
        where = f"in the namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {self._resource} {where}"

    @property
    def question(self) -> str:
        """The command that checks the same permission."""
        where = f"-n {self.namespace}" if self.namespace else "--all-namespaces"
        if self.resource == "tasks":
            # kubectl drops the group of a resource that is not served, so `can-i use` would always print no.
            return f"kubectl auth can-i --list {where}"
        return f"kubectl auth can-i {self.verb} {self._resource} {where}"

    @property
    def _resource(self) -> str:
        return f"{self.resource}.{GROUP}" + (f"/{self.name}" if self.name else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPermission:
    """A verb on a path outside the resource API, as in `nonResourceURLs` of a ClusterRole."""

    verb: Verb
    path: str

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def question(self) -> str:
        """The command that checks the same permission."""
        return f"kubectl auth can-i {self.verb} {self.path}"


AnyPermission = Permission | PathPermission
