"""TaskRuns of one namespace as one user, over plain HTTP.

Faster than kubectl, and it shows the API server's own answers and data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from kelery.kube.answer import Answer
from kelery.kube.sync_session import SyncSession

Spec = Mapping[str, Any]

_GROUP_VERSION = "kelery.dev/v1alpha1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRuns:
    """One user and the TaskRuns of one namespace."""

    access: SyncSession
    namespace: str

    def try_create(self, spec: Spec, *, name: str | None = None) -> Answer:
        """The API server's answer to a dry-run creation, as strict as kubectl."""
        return self._post(spec, name=name, query="?dryRun=All&fieldValidation=Strict")

    def create(self, spec: Spec, *, name: str | None = None) -> dict[str, Any]:
        """Create a TaskRun, which must be accepted."""
        answer = self._post(spec, name=name, query="")
        assert answer.status == 201, answer.message
        return dict(answer.body)

    def get(self, name: str) -> dict[str, Any]:
        """The TaskRun as it is stored."""
        answer = self.access.request("GET", path=self._path(name))
        assert answer.status == 200, answer.message
        return dict(answer.body)

    def try_replace(self, taskrun: Mapping[str, Any], *, spec: Spec) -> Answer:
        """The API server's answer to a dry-run replacement of the spec."""
        return self.access.request(
            "PUT",
            path=self._path(taskrun["metadata"]["name"]) + "?dryRun=All&fieldValidation=Strict",
            body={**taskrun, "spec": spec},
        )

    def patch(self, name: str, *, merge: Mapping[str, Any]) -> Answer:
        """Apply a merge patch to the TaskRun."""
        return self.access.request(
            "PATCH", path=self._path(name), body=merge, content_type="application/merge-patch+json"
        )

    def write_status(self, name: str, *, status: Mapping[str, Any]) -> Answer:
        """Replace the whole status by JSON Patch, as the operator does."""
        return self.access.request(
            "PATCH",
            path=self._path(name) + "/status",
            body=[{"op": "replace", "path": "/status", "value": status}],
            content_type="application/json-patch+json",
        )

    def names(self, *, field_selector: str) -> list[str]:
        """The names of the TaskRuns that a field selector selects, sorted."""
        answer = self.access.request("GET", path=f"{self._path()}?fieldSelector={quote(field_selector)}")
        assert answer.status == 200, answer.message
        return sorted(item["metadata"]["name"] for item in answer.body["items"])

    def _post(self, spec: Spec, *, name: str | None, query: str) -> Answer:
        metadata = {"name": name} if name else {"generateName": "run-"}
        body = {"apiVersion": _GROUP_VERSION, "kind": "TaskRun", "metadata": metadata, "spec": spec}
        return self.access.request("POST", path=self._path() + query, body=body)

    def _path(self, name: str | None = None) -> str:
        collection = f"/apis/{_GROUP_VERSION}/namespaces/{self.namespace}/taskruns"
        return f"{collection}/{quote(name)}" if name else collection
