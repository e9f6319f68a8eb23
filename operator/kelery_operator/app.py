"""The composition root: builds all parts, runs them together, drains and stops.

Crash-only: if a part ends, the process ends. A restart lists all TaskRuns and compares them with the ledger.
No state is only in memory, except pending status writes, and the ledger has these as unacknowledged.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable

from kelery.errors import SettingsError
from kelery.kube.answer import KubeError
from kelery.kube.login import Login
from kelery.ledger import async_client
from kelery.ledger.ticker import LedgerTicker
from kelery_operator import kopf_watch
from kelery_operator.runtime.health import HealthServer
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.outage import Outage
from kelery_operator.runtime.parts import Parts
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.watchdog import Watchdog
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.settings import OperatorSettings
from kelery_operator.taskrun.existence_checks import CHECKERS, ExistenceChecks
from kelery_operator.taskrun.kube_api import KubeApi
from kelery_operator.taskrun.ledger_calls import LedgerCalls
from kelery_operator.taskrun.ledger_events import LedgerEvents
from kelery_operator.taskrun.planning import Planner
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.reconcile import Reconciler
from kelery_operator.taskrun.resync import Comparison, Resync
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.status.answers import WriteAnswers
from kelery_operator.taskrun.status.writer import StatusWriter
from kelery_operator.taskrun.watch_events import WatchEvents
from kelery_operator.ttl.ttl_controller import TtlController

logger = logging.getLogger("kelery.operator")

_REDIS_TIMEOUT_SECONDS = 5.0
_DRAIN_SECONDS = 5.0
_WAIT_SECONDS = 1.0
#: The first two thresholds of the garbage collector.
_YOUNG_OBJECTS, _YOUNG_COLLECTIONS = 20_000, 20


class Operator:
    """All parts of one operator process."""

    def __init__(self, settings: OperatorSettings, *, login: Login) -> None:
        self._settings = settings
        self._login = login
        self._metrics = Metrics()
        self._watchdog = Watchdog()
        self._api = KubeApi(login)
        self._client = async_client.connect(
            settings.ledger.redis_url, timeout_seconds=_REDIS_TIMEOUT_SECONDS, client_name="kelery-operator"
        )
        self._ledger = async_client.Ledger(self._client, prefix=settings.ledger.prefix)
        self._states = states = RunStates()
        self._queue = queue = WorkQueue(place=states.place)
        self._checks = ExistenceChecks(self._api, states=states, queue=queue, metrics=self._metrics)
        self._writer = StatusWriter(
            self._api,
            states=states,
            listener=WriteAnswers(states=states, queue=queue, checks=self._checks),
            metrics=self._metrics,
        )
        self._metrics.queued.set_function(lambda: len(queue))
        self._metrics.queue_age.set_function(queue.oldest_age)
        self._metrics.taskruns.set_function(states.present_count)
        self._outage: Outage | None = None
        self._synced = False
        self._stop = asyncio.Event()
        self._parts = Parts()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises if a part fails."""
        self._catch_signals()
        health = HealthServer(
            metrics=self._metrics, watchdog=self._watchdog, why_not_ready=self._why_not_ready
        )
        address = self._settings.health_address
        await health.start(host=address.host, port=address.port)
        try:
            self._parts.start("start", self._begin(), may_end=True)
            await self._parts.run_until(self._stop)
            await self._drain()
        finally:
            await self._parts.cancel()
            await health.stop()
            await self._api.close()
            await self._client.aclose()

    async def _begin(self) -> None:
        """Wait for the CRD and the cluster id, compare everything once, then start all loops."""
        await self._wait_for_crd()
        cluster = self._settings.cluster_id or await self._cluster_id()
        scope = Scope(cluster=cluster, namespaces=self._settings.namespaces)
        ledger, states, queue = self._ledger, self._states, self._queue
        positions = QueuePositions(ledger, states=states, queue=queue)
        follower = LedgerEvents(ledger, cluster=cluster, states=states, queue=queue, positions=positions)
        resync = self._resync(scope)
        reconciler = self._reconciler(scope, on_recovery=resync.soon)
        # The position in the stream first, then the comparison: so no change is missed.
        await follower.begin()
        await resync.first()
        self._parts.start("reconciler", reconciler.run())
        self._parts.start("writer", self._writer.run())
        self._parts.start("events", follower.run())
        self._parts.start("positions", positions.run())
        self._parts.start("resync", resync.run())
        ttl = self._ttl_controller(scope)
        self._parts.start("ttl", ttl.run())
        self._parts.start("ttl-sweep", ttl.run_sweep())
        ticker = LedgerTicker(
            ledger,
            stand_still=self._settings.ledger.lease.stand_still,
            on_reclaim=self._count_reclaim,
        )
        self._parts.start("ticker", ticker.run())
        for number in range(CHECKERS):
            self._parts.start(f"check-{number}", self._checks.run())
        events = WatchEvents(
            states=states, queue=queue, checks=self._checks, writer=self._writer, metrics=self._metrics
        )
        watch = kopf_watch.watch(
            events, login=self._login, namespaces=scope.namespaces, started=self._watching
        )
        self._parts.start("watch", watch)
        logger.info("watching TaskRuns", extra={"cluster": cluster, "taskruns": states.present_count()})

    def _resync(self, scope: Scope) -> Resync:
        comparison = Comparison(
            api=self._api,
            ledger=self._ledger,
            scope=scope,
            states=self._states,
            queue=self._queue,
            checks=self._checks,
        )
        return Resync(comparison, every_seconds=self._settings.resync_seconds, metrics=self._metrics)

    def _reconciler(self, scope: Scope, *, on_recovery: Callable[[], None]) -> Reconciler:
        states, queue, writer, metrics = self._states, self._queue, self._writer, self._metrics
        self._outage = outage = Outage(metrics=metrics, on_recovery=on_recovery)
        planner = Planner(
            scope=scope,
            settings=self._settings,
            states=states,
            queue=queue,
            writer=writer,
            metrics=metrics,
        )
        calls = LedgerCalls(self._ledger, planner=planner, states=states, queue=queue, outage=outage)
        return Reconciler(
            queue=queue,
            planner=planner,
            calls=calls,
            outage=outage,
            metrics=metrics,
            watchdog=self._watchdog,
        )

    def _ttl_controller(self, scope: Scope) -> TtlController:
        return TtlController(
            api=self._api,
            ledger=self._ledger,
            scope=scope,
            default_ttl_seconds=self._settings.default_ttl_seconds,
            sweep_seconds=self._settings.sweep_seconds,
            metrics=self._metrics,
        )

    def _count_reclaim(self, taken: bool) -> None:
        self._metrics.reclaims.labels("taken" if taken else "moved").inc()

    def _watching(self) -> None:
        self._synced = True
        # Most objects that exist now live until the end, and few later ones have cycles: collect less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_COLLECTIONS)
        # kopf has replaced the signal handlers. The operator must drain first, so replace them again.
        self._catch_signals()

    def _why_not_ready(self) -> str:
        if not self._synced or self._outage is None:
            return "starting: waiting for the API server and the CRD"
        return "" if self._outage.ledger_answers else "the ledger does not answer"

    async def _wait_for_crd(self) -> None:
        reported = ""
        while True:
            try:
                if await self._api.is_served():
                    return
                problem = "the API server does not serve taskruns.kelery.dev; install the CRD"
            except KubeError as error:
                problem = str(error)
            if problem != reported:
                reported = problem
                logger.warning("waiting: %s", problem)
            await asyncio.sleep(_WAIT_SECONDS)

    async def _cluster_id(self) -> str:
        while True:
            try:
                return await self._api.namespace_uid("kube-system")
            except KubeError as error:
                if error.status in (401, 403):
                    raise SettingsError(
                        "cannot read the namespace kube-system to identify the cluster: allow the verb get,"
                        " or set KELERY_CLUSTER_ID"
                    ) from error
                logger.warning("waiting: %s", error)
            await asyncio.sleep(_WAIT_SECONDS)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _drain(self) -> None:
        """Write what was decided, and begin nothing new. The watch ends last, because kopf ends abruptly."""
        logger.info("stopping")
        await self._parts.end_all_but("watch")
        if not await self._writer.drain(seconds=_DRAIN_SECONDS):
            logger.warning("stopping with unsent status writes", extra={"unsent": self._writer.unsent()})
