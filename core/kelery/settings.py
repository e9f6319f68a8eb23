"""Settings from the environment (`KELERY_*`), read once at start; an unusable one is refused by its name.

Secrets (the Redis URL may hold a password) are never part of a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kelery.errors import SettingsError

#: The name of a namespace, for `fullmatch`; JSON Schema needs the ends marked too.
NAMESPACE_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_LOG_FORMATS = ("json", "text")
_REDIS_SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The clockwork of leases, all from `seconds`; every figure is a duration on one process's monotonic
    clock.

    A worker that cannot renew kills its keyed runs (`self_fence`) well before an observer may take its claims
    (`stand_still`); the gap also covers clocks that run at different rates.
    """

    seconds: float = 15.0

    @property
    def renew_every(self) -> float:
        """How often a worker renews."""
        return self.seconds / 6

    @property
    def self_fence(self) -> float:
        """Since the last good renewal was sent: keyed runs are killed."""
        return self.seconds * 2 / 3

    @property
    def stand_still(self) -> float:
        """How long an observer must see a lease stand still before it reclaims."""
        return self.seconds * 0.9

    @property
    def give_up(self) -> float:
        """How long a worker that is to end waits for a ledger that is away: nobody can hear of its runs."""
        return self.seconds * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger is, and what all components must agree on."""

    #: May hold a password, so it stays out of the repr.
    redis_url: str = field(repr=False)
    #: KELERY_PREFIX: before every key.
    prefix: str = "kelery"
    #: KELERY_DEFAULT_QUEUE: for runs that name none.
    default_queue: str = "celery"
    #: KELERY_BROKER_KEY_PREFIX: the workers' `global_keyprefix`, if their broker options set one.
    broker_key_prefix: str = ""
    lease: Lease = Lease()

    def queue_key(self, queue: str) -> str:
        """The Redis list behind a Celery queue."""
        return f"{self.broker_key_prefix}{queue}"


def for_control_plane(environ: Mapping[str, str]) -> LedgerSettings:
    """For operator and gateway: KELERY_REDIS_URL, else REDIS_URL."""
    return _ledger(environ, _redis_url(environ, ("KELERY_REDIS_URL", "REDIS_URL"), broker_url=None))


def for_worker(environ: Mapping[str, str], *, broker_url: object) -> LedgerSettings:
    """For a worker: KELERY_REDIS_URL, else the broker of its Celery app (the ledger pushes to the broker's
    own lists).
    """
    own = environ.get("KELERY_REDIS_URL", "").strip()
    return _ledger(
        environ,
        _redis_url(environ, ("KELERY_REDIS_URL",), broker_url=None if own else _one_broker(broker_url)),
    )


def _one_broker(broker_url: object) -> str | None:
    """The app's broker as redis-py takes it; what Celery would take and we cannot is refused with the way
    out.
    """
    if broker_url is None:
        return None
    if not isinstance(broker_url, str) or ";" in broker_url or broker_url.startswith("sentinel:"):
        raise SettingsError(
            "the Celery app's broker URL names several servers: set KELERY_REDIS_URL to the one that is "
            "ledger and broker at once (redis://, rediss:// or unix://)"
        )
    for kombus_name in ("redis+socket://", "valkey+socket://"):
        if broker_url.startswith(kombus_name):
            return "unix://" + broker_url[len(kombus_name) :]
    return broker_url


def number(environ: Mapping[str, str], name: str, *, default: float, least: float, most: float) -> float:
    """A number from the environment within bounds."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r} is not a number") from None
    if not least <= value <= most:
        raise SettingsError(f"{name}={text} is out of range: give {least:g} to {most:g}")
    return value


def log_format(environ: Mapping[str, str]) -> str:
    """KELERY_LOG_FORMAT: json or text."""
    chosen = environ.get("KELERY_LOG_FORMAT", "").strip().lower() or "json"
    if chosen not in _LOG_FORMATS:
        raise SettingsError(f"KELERY_LOG_FORMAT={chosen!r} is unknown: give json or text")
    return chosen


def _redis_url(environ: Mapping[str, str], names: tuple[str, ...], *, broker_url: str | None) -> str:
    candidates = [(name, environ.get(name, "").strip()) for name in names]
    candidates.append(("the Celery app's broker URL", broker_url or ""))
    for source, url in candidates:
        if not url:
            continue
        if urlsplit(url).scheme not in _REDIS_SCHEMES:
            kinds = ", ".join(f"{scheme}://" for scheme in _REDIS_SCHEMES)
            raise SettingsError(
                f"{source} must be the URL of the Redis that Celery's messages go through ({kinds}), such as"
                " redis://localhost:6379/0"
            )
        return url
    raise SettingsError(f"set {' or '.join(names)} to the Redis that Celery's messages go through")


def _ledger(environ: Mapping[str, str], redis_url: str) -> LedgerSettings:
    prefix = environ.get("KELERY_PREFIX", "").strip() or "kelery"
    if any(character.isspace() for character in prefix) or len(prefix) > 100:
        raise SettingsError("KELERY_PREFIX must have no spaces and at most 100 characters")
    return LedgerSettings(
        redis_url=redis_url,
        prefix=prefix,
        default_queue=environ.get("KELERY_DEFAULT_QUEUE", "").strip() or "celery",
        broker_key_prefix=environ.get("KELERY_BROKER_KEY_PREFIX", "").strip(),
        lease=Lease(seconds=number(environ, "KELERY_LEASE_SECONDS", default=15, least=3, most=600)),
    )
