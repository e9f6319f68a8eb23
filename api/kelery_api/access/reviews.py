"""The two reviews by the API server: TokenReview (authentication) and SubjectAccessReview (authorization).

Invariants: a token is sent to the API server only, and no message contains it. A response that cannot be
understood raises `KubeError`; it never counts as permission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kelery.kube.answer import Answer
from kelery.kube.session import ClusterSession
from kelery.taskrun.resource import GROUP
from kelery_api.access.permission import AnyPermission, Permission
from kelery_api.access.requester import Requester

#: The audience of accepted tokens. A token for the API server or another service is rejected.
AUDIENCE = "kelery"

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Reviews(Protocol):
    """The two reviews. Raise `KubeError` if the API server is unavailable."""

    async def who(self, token: str) -> Requester | None:
        """The user of the token; None if the token is not valid here."""
        ...

    async def may(self, requester: Requester, permission: AnyPermission) -> bool:
        """Whether the user has the permission."""
        ...


class ApiServerReviews:
    """The reviews of a real API server."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session

    async def who(self, token: str) -> Requester | None:
        """Sends a TokenReview."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        return requester_from(await self._status(_TOKEN_REVIEWS, body=body))

    async def may(self, requester: Requester, permission: AnyPermission) -> bool:
        """Sends a SubjectAccessReview."""
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": requester.name,
                "uid": requester.uid,
                "groups": list(requester.groups),
                "extra": {name: list(values) for name, values in requester.extra.items()},
                **_attributes(permission),
            },
        }
        status = await self._status(_ACCESS_REVIEWS, body=body)
        return status.get("allowed") is True and not status.get("denied")

    async def _status(self, path: str, *, body: object) -> Mapping[str, Any]:
        response: Answer = await self._session.request("POST", path, body=body)
        status = response.body.get("status")
        if response.status != 201 or not isinstance(status, Mapping):
            raise response.error()
        return status


def requester_from(status: Mapping[str, Any]) -> Requester | None:
    """The user in a TokenReview's status; None unless they are authenticated for our audience."""
    audiences, user = status.get("audiences"), status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, Mapping):
        return None
    # An API server without support for audiences omits them; the token could be for any service.
    if not isinstance(audiences, Sequence) or AUDIENCE not in audiences:
        return None
    name = user.get("username")
    if not isinstance(name, str) or not name:
        return None
    return Requester(
        name=name,
        uid=str(user.get("uid") or ""),
        groups=tuple(str(group) for group in user.get("groups") or ()),
        extra={str(key): tuple(map(str, values)) for key, values in (user.get("extra") or {}).items()},
    )


def _attributes(permission: AnyPermission) -> dict[str, dict[str, str]]:
    if isinstance(permission, Permission):
        attributes = {
            "verb": permission.verb,
            "group": GROUP,
            # As in the admission policy's authorizer check. RBAC ignores versions.
            "version": "*",
            "resource": permission.resource,
            "namespace": permission.namespace,
            "name": permission.name,
        }
        return {"resourceAttributes": attributes}
    return {"nonResourceAttributes": {"verb": permission.verb, "path": permission.path}}
