"""The two questions to the API server: who is it (TokenReview), and may they (SubjectAccessReview).

A token is sent to the API server and nowhere else; no message has it. An answer that is not understood is a
`KubeError`, never a yes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kelery.kube.answer import Answer
from kelery.kube.session import ClusterSession
from kelery.taskrun.resource import GROUP
from kelery_api.access.permission import AnyPermission, Permission
from kelery_api.access.requester import Requester

#: What a token must be meant for: one for the API server itself, or for another service, is not for us.
AUDIENCE = "kelery"

_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Reviews(Protocol):
    """Who answers the two questions; raises `KubeError` if nobody can."""

    async def who(self, token: str) -> Requester | None:
        """Whose token it is; None if it is not good here."""
        ...

    async def may(self, requester: Requester, permission: AnyPermission) -> bool:
        """Whether they are allowed to."""
        ...


class ApiServerReviews:
    """The API server's answers."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session

    async def who(self, token: str) -> Requester | None:
        """By TokenReview."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        return requester_from(await self._status(_TOKEN_REVIEWS, body=body))

    async def may(self, requester: Requester, permission: AnyPermission) -> bool:
        """By SubjectAccessReview."""
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
    """What a TokenReview's status says; None unless it vouches for somebody, for our audience."""
    audiences, user = status.get("audiences"), status.get("user")
    if status.get("authenticated") is not True or not isinstance(user, Mapping):
        return None
    # An API server that knows nothing of audiences leaves them out: then the token may be for anybody.
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
            # As the admission policy's authorizer asks: RBAC knows no versions.
            "version": "*",
            "resource": permission.resource,
            "namespace": permission.namespace,
            "name": permission.name,
        }
        return {"resourceAttributes": attributes}
    return {"nonResourceAttributes": {"verb": permission.verb, "path": permission.path}}
