"""Authenticates and authorizes every request.

Invariant: a check passes or raises `Problem`. No error and no log line contains a token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from kelery.kube.answer import KubeError
from kelery.kube.login import Login
from kelery.kube.session import ClusterSession
from kelery_api.access import bearer
from kelery_api.access.permission import AnyPermission
from kelery_api.access.requester import NOBODY, Requester
from kelery_api.access.reviews import AUDIENCE, ApiServerReviews, Reviews
from kelery_api.access.verdict_cache import Verdict, VerdictCache
from kelery_api.http.problems import Kind, Problem

logger = logging.getLogger("kelery.api")

_HOW = f"kubectl create token <service account> --audience={AUDIENCE}"
_RETRY_SECONDS = "2"
_CLIENT_NAME = "kelery-api"
#: Time limit for a request to the API server; then the caller gets 503 with Retry-After.
_RESPONSE_SECONDS = 5.0


class Authorizer(Protocol):
    """The check that a guarded route makes first."""

    async def identify(self, authorization: str | None) -> Requester:
        """The user of this Authorization header."""
        ...

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        """Raise Problem unless the user has the permission."""
        ...

    async def close(self) -> None:
        """Release its resources."""
        ...


class OpenAuthorizer:
    """KELERY_AUTH=none: every request is allowed, and no user is known."""

    async def identify(self, authorization: str | None) -> Requester:
        return NOBODY

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        return None

    async def close(self) -> None:
        return None


class KubernetesAuthorizer:
    """Asks the API server, and caches its answers for some seconds."""

    def __init__(
        self,
        reviews: Reviews,
        *,
        session: ClusterSession | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._reviews = reviews
        self._session = session
        self._wall_clock = wall_clock
        self._requesters: VerdictCache[bytes, Requester] = VerdictCache(clock=clock)
        self._rights: VerdictCache[tuple[Requester, AnyPermission], bool] = VerdictCache(clock=clock)
        self._reported = ""

    @classmethod
    def connect(cls, login: Login) -> KubernetesAuthorizer:
        """An authorizer with its own session."""
        session = ClusterSession(login, client_name=_CLIENT_NAME, request_seconds=_RESPONSE_SECONDS)
        return cls(ApiServerReviews(session), session=session)

    async def identify(self, authorization: str | None) -> Requester:
        """The user of the bearer token, from a TokenReview."""
        if authorization is None:
            raise Problem(
                Kind.UNAUTHENTICATED,
                "the request has no Authorization header; send Authorization: Bearer TOKEN with a token for"
                f" the audience {AUDIENCE}, which you can create with: {_HOW}",
            )
        token = bearer.token_of(authorization)
        requester = None if token is None else await self._whose(token)
        if requester is None:
            raise Problem(
                Kind.UNAUTHENTICATED,
                f"{_fault(token)}; create a token with: {_HOW}",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return requester

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        """By the cluster's authorizers, usually RBAC, from a SubjectAccessReview."""
        if not requester.name:
            raise Problem(Kind.UNAUTHENTICATED, "the request has no user; send a token")

        async def ask() -> Verdict[bool]:
            allowed = await self._reviews.may(requester, permission)
            self._note_response()
            return Verdict(value=allowed or None)

        try:
            allowed = await self._rights.get((requester, permission), ask)
        except KubeError as error:
            raise self._unavailable(error) from None
        if not allowed:
            raise Problem(
                Kind.FORBIDDEN,
                f"{requester.name} cannot {permission}; grant the permission with RBAC, and check it with:"
                f" {permission.question} --as={requester.name}",
            )

    async def close(self) -> None:
        """Cancel pending reviews and close the session."""
        await self._requesters.close()
        await self._rights.close()
        if self._session is not None:
            await self._session.close()

    async def _whose(self, token: str) -> Requester | None:
        async def ask() -> Verdict[Requester]:
            requester = await self._reviews.who(token)
            self._note_response()
            return Verdict(value=requester, seconds=self._seconds_left(token))

        try:
            return await self._requesters.get(bearer.fingerprint(token), ask)
        except KubeError as error:
            raise self._unavailable(error) from None

    def _seconds_left(self, token: str) -> float:
        """Remaining lifetime of the token by the wall clock. It can only shorten the time in the cache."""
        expiry = bearer.expiry_of(token)
        return float("inf") if expiry is None else expiry - self._wall_clock()

    def _unavailable(self, error: KubeError) -> Problem:
        """Log each cause once, not for every request."""
        if (text := str(error)) != self._reported:
            self._reported = text
            refused = error.status in (401, 403)
            hint = "; bind the gateway's account to the ClusterRole system:auth-delegator" if refused else ""
            logger.warning("authorization is unavailable; rejecting all requests: %s%s", text, hint)
        return Problem(
            Kind.ACCESS_CHECK_UNAVAILABLE,
            "the API server is unavailable, so the request cannot be authorized; try again",
            headers={"Retry-After": _RETRY_SECONDS},
        )

    def _note_response(self) -> None:
        if self._reported:
            self._reported = ""
            logger.info("authorization is available again")


def _fault(token: str | None) -> str:
    if token is None:
        return "the Authorization header must have the form: Bearer TOKEN"
    return f"the token is unknown, expired or not for the audience {AUDIENCE}"
