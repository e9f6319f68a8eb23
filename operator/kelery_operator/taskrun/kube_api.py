"""The operator's own requests about TaskRuns.

Answers are values. A request without a usable answer raises `KubeError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kelery.kube.answer import Answer
from kelery.kube.login import Login
from kelery.kube.session import ClusterSession
from kelery.taskrun.resource import GROUP, PLURAL, VERSION

_CLIENT_NAME = "kelery-operator"
_PAGE = 500
_API = f"/apis/{GROUP}/{VERSION}"


class KubeApi:
    """Requests about TaskRuns."""

    def __init__(self, login: Login, *, connections: int = 32) -> None:
        self._session = ClusterSession(login, client_name=_CLIENT_NAME, connections=connections)

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The TaskRun with this name; None only if the server answers that this object does not exist."""
        answer = await self._session.request("GET", _path(namespace, name))
        if answer.says_absent(name):
            return None
        if answer.status != 200:
            raise answer.error()
        return answer.body

    async def pages(
        self, namespaces: Sequence[str], *, field_selector: str = ""
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """All TaskRuns in the namespaces (empty: in the cluster), in pages."""
        for namespace in namespaces or ("",):
            token = ""
            while True:
                query = {"limit": str(_PAGE), "continue": token, "fieldSelector": field_selector}
                answer = await self._session.request(
                    "GET", _path(namespace, ""), query={k: v for k, v in query.items() if v}
                )
                if answer.status != 200:
                    raise answer.error()
                yield answer.body.get("items") or []
                token = (answer.body.get("metadata") or {}).get("continue") or ""
                if not token:
                    break

    async def put_status(
        self, namespace: str, name: str, *, uid: str, status: Mapping[str, Any], version: int
    ) -> Answer:
        """Replace the whole status, if the object still has this uid.

        With a version other than 0, the object must have this version; otherwise the answer is 409.
        """
        # "add" replaces an existing value. The test protects a new object with the same name.
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        if version:
            patch.append({"op": "add", "path": "/metadata/resourceVersion", "value": str(version)})
        return await self._session.request(
            "PATCH",
            _path(namespace, name) + "/status",
            body=patch,
            content_type="application/json-patch+json",
        )

    async def delete(self, namespace: str, name: str, *, uid: str, resource_version: str) -> Answer:
        """Delete the object, if it still has this uid and version."""
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        return await self._session.request(
            "DELETE",
            _path(namespace, name),
            body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions},
        )

    async def is_served(self) -> bool:
        """Whether the API server serves TaskRuns."""
        answer = await self._session.request("GET", _API)
        if answer.status not in (200, 404):
            raise answer.error()
        return any(resource.get("name") == PLURAL for resource in answer.body.get("resources") or ())

    async def namespace_uid(self, name: str) -> str:
        """The uid of a namespace."""
        answer = await self._session.request("GET", f"/api/v1/namespaces/{name}")
        if answer.status != 200:
            raise answer.error()
        return str((answer.body.get("metadata") or {}).get("uid") or "")

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


def _path(namespace: str, name: str) -> str:
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{_API}{scope}/{PLURAL}" + (f"/{name}" if name else "")
