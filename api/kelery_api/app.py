"""The composition root: creates the FastAPI app, and opens and closes the services behind it.

The start waits for nothing. A gateway whose ledger is unavailable serves, reports that it is not ready, and
recovers without a restart.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from kelery import __version__
from kelery.kube.login import Login, load_credentials
from kelery.kube.session import ClusterSession
from kelery.ledger import async_client
from kelery.ledger.ticker import LedgerTicker
from kelery_api.access.authorizer import Authorizer, KubernetesAuthorizer, OpenAuthorizer
from kelery_api.access.guarded_route import refuse_unguarded
from kelery_api.gateway import Gateway
from kelery_api.http import exception_handlers
from kelery_api.http.middleware import Middleware
from kelery_api.http.same_origin import SameOriginOnly
from kelery_api.openapi import document
from kelery_api.ops.metrics import Metrics
from kelery_api.ops.queue_stats import QueueStatsCache
from kelery_api.ops.readiness import Readiness
from kelery_api.routes import ROUTERS
from kelery_api.runs.service import Runs
from kelery_api.runs.taskrun_deletion import TaskRunDeletion
from kelery_api.settings import ApiSettings, Auth
from kelery_api.streams.follower import Follower

logger = logging.getLogger("kelery.api")

#: A call that times out and its error response fit into two seconds.
_LEDGER_SECONDS = 1.5
#: Longer than a blocking read waits in Redis.
_FOLLOWER_SECONDS = 3.0


def create_app(settings: ApiSettings, *, login: Login | None) -> FastAPI:
    """The gateway's app. `login`: its credentials for the API server, None if it has no cluster."""
    metrics, stopping = Metrics(), asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _open(settings, metrics=metrics, stopping=stopping, login=login) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(
        title="Kelery",
        version=__version__,
        lifespan=lifespan,
        # Kelery has its own routes for both, so that they are guarded like all others.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=document.operation_id,
    )
    app.state.stopping = stopping
    for router in ROUTERS:
        app.include_router(router)
    refuse_unguarded(app)
    exception_handlers.install(app)
    document.install(app, auth=settings.auth)
    same_origin = (
        SameOriginOnly(loopback=settings.address.is_loopback) if settings.auth is Auth.NONE else None
    )
    app.add_middleware(Middleware, metrics=metrics, same_origin=same_origin)
    return app


@asynccontextmanager
async def _open(
    settings: ApiSettings, *, metrics: Metrics, stopping: asyncio.Event, login: Login | None
) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as closing:
        ledger = _connect(settings, closing, seconds=_LEDGER_SECONDS, name="kelery-api")
        follower = Follower(
            _connect(settings, closing, seconds=_FOLLOWER_SECONDS, name="kelery-api-follower")
        )
        # For deleting TaskRuns.
        session = ClusterSession(login, client_name="kelery-api") if login else None
        if session is not None:
            closing.push_async_callback(session.close)
        authorizer = _authorizer(settings, login=login)
        closing.push_async_callback(authorizer.close)
        readiness = Readiness(metrics=metrics, is_following=lambda: follower.is_following)
        gateway = Gateway(
            settings=settings,
            ledger=ledger,
            follower=follower,
            authorizer=authorizer,
            metrics=metrics,
            readiness=readiness,
            queue_stats=QueueStatsCache(
                ledger,
                alive_within=settings.ledger.lease.seconds,
                default_queue=settings.ledger.default_queue,
            ),
            runs=Runs(
                ledger, follower=follower, delete_task_run=TaskRunDeletion(session) if session else None
            ),
            stopping=stopping,
        )
        ticker = LedgerTicker(
            ledger,
            stand_still=settings.ledger.lease.stand_still,
            on_reclaim=lambda taken: metrics.reclaims.labels("taken" if taken else "moved").inc(),
            on_tick=readiness.ticked,
        )
        parts = {"ticker": ticker.run(), "follower": follower.run(), "dismissal": _dismiss(gateway)}
        closing.push_async_callback(_cancel, [_start(name, part, stopping) for name, part in parts.items()])
        yield gateway
        stopping.set()


def _connect(
    settings: ApiSettings, closing: AsyncExitStack, *, seconds: float, name: str
) -> async_client.Ledger:
    client = async_client.connect(settings.ledger.redis_url, timeout_seconds=seconds, client_name=name)
    closing.push_async_callback(client.aclose)
    return async_client.Ledger(client, prefix=settings.ledger.prefix)


def environment_login(settings: ApiSettings) -> Login | None:
    """The credentials from the environment. Without authentication, ~/.kube/config is ignored: the user did
    not choose that cluster for Kelery.
    """
    named = "KUBECONFIG" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ
    if settings.auth is Auth.NONE and not named:
        return None
    return Login(functools.partial(load_credentials, os.environ))


def _authorizer(settings: ApiSettings, *, login: Login | None) -> Authorizer:
    if settings.auth is Auth.NONE:
        return OpenAuthorizer()
    assert login is not None, "reviews need credentials for the API server"
    return KubernetesAuthorizer.connect(login)


def _start(name: str, work: Coroutine[Any, Any, None], stopping: asyncio.Event) -> asyncio.Task[None]:
    """Start a service of the gateway. If it ends before the gateway stops, the gateway stops too."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not stopping.is_set():
            logger.critical(
                "a service of the gateway ended unexpectedly; stopping the gateway",
                extra={"part": name},
                exc_info=task.exception(),
            )
            stopping.set()

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


async def _dismiss(gateway: Gateway) -> None:
    await gateway.stopping.wait()
    gateway.follower.dismiss()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=2)
