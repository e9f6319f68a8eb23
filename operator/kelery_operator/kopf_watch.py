"""kopf as an informer: one event handler and one login handler. Only this module imports kopf.

Invariant: kopf writes to no object. It uses no finalizers, annotations, storages or Kubernetes events.
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
#: The pause between two attempts to log in.
_PAUSE_SECONDS = 5.0


class _NoProgress(kopf.ProgressStorage):
    """Stores nothing: no handler has a progress."""

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
    """Stores nothing: no state is compared with an earlier one."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def store(self, **_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class _Connection(kopf.ConnectionInfo):
    """A connection of kopf, with the credentials and trust of the rest of the operator."""

    credentials: Credentials

    def as_http_headers(self) -> dict[str, str]:
        return self.credentials.headers()

    def as_ssl_context(self) -> ssl.SSLContext:
        return self.credentials.trust()


def login_handler(login: Login) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    """The handler that kopf calls when it has no credentials, or when they expired or were refused."""
    given: _Connection | None = None

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        nonlocal given
        now = datetime.now(UTC)
        if given is not None and given.expiration is not None and now < given.expiration:
            # kopf asks before the expiry only if the API server refused them.
            refused = given.credentials
            credentials = await off_loop(functools.partial(login.renew, refused=refused))
            if credentials is refused:
                raise kopf.TemporaryError("the API server refuses the credentials", delay=_PAUSE_SECONDS)
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
    # Limits the rate of logins if a plug-in returns expired credentials.
    soonest = now + timedelta(seconds=_PAUSE_SECONDS)
    return max(soonest, datetime.fromtimestamp(credentials.expires_at, UTC))


def registry(events: WatchEvents, *, login: Login) -> kopf.OperatorRegistry:
    """The event handler and the login handler."""
    ours = kopf.OperatorRegistry()
    kopf.on.login(registry=ours, backoff=_PAUSE_SECONDS)(login_handler(login))

    # kopf calls it immediately, once for each event, and for one object in the order of its events.
    # It does no I/O. It is async because kopf runs other handlers in threads.
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=ours)
    async def take_in(*, event: kopf.RawEvent, **_: Any) -> None:
        try:
            events.event(event["type"], event["object"])
        except Exception:
            # kopf must continue. The next comparison reads the object again.
            logger.exception("cannot process a watch event")

    return ours


def settings() -> kopf.OperatorSettings:
    """Settings that disable everything in kopf except its watch."""
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
    # The API server accepts only an integer.
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
    """Watch until cancelled. Raises errors of kopf. Calls `started` when kopf's tasks exist."""
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry(events, login=login),
        settings=settings(),
        # By default, kopf looks up the user's name. A pod's user id may have no name.
        identity=cast("Any", "kelery"),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )
    started()
    await kopf.run_tasks(tasks, ignored=ours)
