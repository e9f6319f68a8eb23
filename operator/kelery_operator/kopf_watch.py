"""kopf at the rim, as an informer: one event handler and a login. kopf is imported here only.

No finalizers, no annotations, no kopf storages, no events: kopf makes no write to any object.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf

from kelery.kube.credentials import Credentials
from kelery.kube.login import Login, off_loop
from kelery.taskrun.resource import GROUP, PLURAL, VERSION
from kelery_operator.taskrun.resync import UNFINISHED
from kelery_operator.taskrun.watch_events import WatchEvents

logger = logging.getLogger("kelery.operator")

_CREDENTIALS_LIFETIME = timedelta(minutes=30)
#: Between two attempts to log in.
_PAUSE_SECONDS = 5.0


class _NoProgress(kopf.ProgressStorage):
    """There are no handlers with a progress."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared with an earlier state: all states are the same."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def store(self, **_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class _Connection(kopf.ConnectionInfo):
    """kopf's own, which logs in and trusts as the rest of the operator does."""

    credentials: Credentials

    def as_http_headers(self) -> dict[str, str]:
        return self.credentials.headers()

    def as_ssl_context(self) -> ssl.SSLContext:
        return self.credentials.trust()


def login_handler(login: Login) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    """What kopf asks when it has no credentials yet, when they have expired, and when they were refused."""
    given: _Connection | None = None

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        nonlocal given
        now = datetime.now(UTC)
        if given is not None and given.expiration is not None and now < given.expiration:
            # Before their time they are asked for only because they were refused.
            refused = given.credentials
            credentials = await off_loop(functools.partial(login.renew, refused=refused))
            if credentials is refused:
                raise kopf.TemporaryError("the API server refuses our credentials", delay=_PAUSE_SECONDS)
        else:
            credentials = await off_loop(login.credentials)
        given = _Connection(
            server=credentials.server,
            proxy_url=credentials.proxy_url,
            expiration=_expiration(credentials, now=now),
            credentials=credentials,
        )
        return given

    return log_in


def _expiration(credentials: Credentials, *, now: datetime) -> datetime:
    latest = now + _CREDENTIALS_LIFETIME
    if credentials.expires_at is None or credentials.expires_at >= latest.timestamp():
        return latest
    # Those that come expired are not asked for again and again.
    soonest = now + timedelta(seconds=_PAUSE_SECONDS)
    return max(soonest, datetime.fromtimestamp(credentials.expires_at, UTC))


def registry(events: WatchEvents, *, login: Login) -> kopf.OperatorRegistry:
    """One handler, one login."""
    ours = kopf.OperatorRegistry()
    kopf.on.login(registry=ours, backoff=_PAUSE_SECONDS)(login_handler(login))

    # kopf calls it at once and exactly once for each event, and for one object in the order of its events. It
    # does no I/O, so it is not to be moved to a thread, as kopf does with a handler that is not async.
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=ours)
    async def take_in(*, event: kopf.RawEvent, **_: Any) -> None:
        try:
            events.event(event["type"], event["object"])
        except Exception:
            # kopf must not stop for it; the next comparison meets the object again.
            logger.exception("an event could not be taken in")

    return ours


def settings() -> kopf.OperatorSettings:
    """kopf without anything but its watch."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False
    ours.peering.standalone = True
    ours.scanning.disabled = True
    ours.persistence.progress_storage = _NoProgress()
    ours.persistence.diffbase_storage = _NoDiffBase()
    ours.queueing.idle_timeout = 1.0
    ours.networking.request_timeout = 30.0
    ours.networking.connect_timeout = 10.0
    ours.watching.reconnect_backoff = 0.5
    ours.watching.chunk_size = 500
    # An integer: the API server takes no other.
    ours.watching.server_timeout = 300
    ours.watching.field_selectors[GROUP, VERSION, PLURAL] = UNFINISHED
    return ours


async def watch(
    events: WatchEvents,
    *,
    login: Login,
    namespaces: Sequence[str],
    started: Callable[[], None],
) -> None:
    """Watch until cancelled; an error of kopf's is raised. `started` is called once its tasks are there."""
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry(events, login=login),
        settings=settings(),
        # kopf would look up the user's name, which not every image has for the user id that a pod is given.
        identity=cast("Any", "kelery"),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )
    started()
    await kopf.run_tasks(tasks, ignored=ours)
