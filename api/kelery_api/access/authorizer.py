"""What every request passes: who asks, and may they.

Invariant: it lets pass or it raises a `Problem`; nothing that it raises or logs has a token in it.
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
#: A request that waits for the API server longer than this is told to come again.
_RESPONSE_SECONDS = 5.0


class Authorizer(Protocol):
    """What a route asks before anything else."""

    async def identify(self, authorization: str | None) -> Requester:
        """Who sends this Authorization header."""
        ...

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        """Pass only if they may."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class OpenAuthorizer:
    """KELERY_AUTH=none: everybody may everything, and is nobody."""

    async def identify(self, authorization: str | None) -> Requester:
        return NOBODY

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        return None

    async def close(self) -> None:
        return None


class KubernetesAuthorizer:
    """The API server decides; its answers are remembered for some seconds."""

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
        """One with a session of its own."""
        session = ClusterSession(login, client_name=_CLIENT_NAME, request_seconds=_RESPONSE_SECONDS)
        return cls(ApiServerReviews(session), session=session)

    async def identify(self, authorization: str | None) -> Requester:
        """By the bearer token."""
        if authorization is None:
            raise Problem(
                Kind.UNAUTHENTICATED,
                f"send a token for the audience {AUDIENCE} as Authorization: Bearer; {_HOW} makes one",
            )
        token = bearer.token_of(authorization)
        requester = None if token is None else await self._whose(token)
        if requester is None:
            raise Problem(
                Kind.UNAUTHENTICATED,
                f"the token is {_fault(token)}; {_HOW} makes one",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return requester

    async def require(self, requester: Requester, permission: AnyPermission) -> None:
        """By what RBAC, or whatever the cluster's authorizers are, says of them."""
        if not requester.name:
            raise Problem(Kind.UNAUTHENTICATED, "it is not known who asks")

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
                f"{requester.name} may not {permission}; to ask beforehand: {permission.question}"
                f" --as={requester.name}",
            )

    async def close(self) -> None:
        """Give up what is under way, and close the session."""
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
        """What is left of the token by the wall clock; it can only shorten what is remembered."""
        expiry = bearer.expiry_of(token)
        return float("inf") if expiry is None else expiry - self._wall_clock()

    def _unavailable(self, error: KubeError) -> Problem:
        """Say it in the log once, not for every request."""
        if (text := str(error)) != self._reported:
            self._reported = text
            refused = error.status in (401, 403)
            hint = "; the gateway's account needs the ClusterRole system:auth-delegator" if refused else ""
            logger.warning("nobody is let in, for access cannot be checked: %s%s", text, hint)
        return Problem(
            Kind.ACCESS_CHECK_UNAVAILABLE,
            "the API server, which knows who may do this, cannot be asked; try again",
            headers={"Retry-After": _RETRY_SECONDS},
        )

    def _note_response(self) -> None:
        if self._reported:
            self._reported = ""
            logger.info("access can be checked again")


def _fault(token: str | None) -> str:
    if token is None:
        return "not sent as Authorization: Bearer TOKEN"
    return f"unknown, expired or not for the audience {AUDIENCE}"
