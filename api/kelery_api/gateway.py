"""The services that routes use. The lifespan of `app` opens and closes them; a request finds them at
`request.app.state.gateway`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request

from kelery.ledger.async_client import Ledger
from kelery_api.access.authorizer import Authorizer
from kelery_api.ops.metrics import Metrics
from kelery_api.ops.queue_stats import QueueStatsCache
from kelery_api.ops.readiness import Readiness
from kelery_api.runs.service import Runs
from kelery_api.settings import ApiSettings
from kelery_api.streams.follower import Follower


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The services of one running app."""

    settings: ApiSettings
    #: Its timeout leaves room for a response within two seconds.
    ledger: Ledger
    follower: Follower
    authorizer: Authorizer
    metrics: Metrics
    readiness: Readiness
    queue_stats: QueueStatsCache
    runs: Runs
    #: Set when the gateway stops: long polls return, and streams end.
    stopping: asyncio.Event


def gateway_of(request: Request) -> Gateway:
    """The gateway that serves this request."""
    gateway = request.app.state.gateway
    assert isinstance(gateway, Gateway)
    return gateway
