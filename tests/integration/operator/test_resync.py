"""The comparison of ledger and cluster, without a watch that would see the same: what it finds by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import pytest

from kelery.kube.kubeconfig import from_kubeconfig
from kelery.kube.login import Login
from kelery.ledger import async_client, commands, sync_client
from kelery.settings import LedgerSettings
from kelery.taskrun.submission import submission_of
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.kube_api import KubeApi
from kelery_operator.taskrun.resync import Comparison, Resync
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.snapshot import snapshot_of
from tests.support.cluster import Body, Cluster

CLUSTER = "this-cluster"


@pytest.fixture
def login(control_plane: ControlPlane) -> Login:
    """The administrator's credentials."""
    return Login(partial(from_kubeconfig, [control_plane.kubeconfig]))


def submit(ledger: sync_client.Ledger, body: Body) -> str:
    """Make the run known to the ledger, as an operator did once."""
    run, settings = snapshot_of(body), LedgerSettings(redis_url="")
    ledger.run(commands.submit(submission_of(run.spec, who=run.who, cluster=CLUSTER, settings=settings)))
    return run.who.uid


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one comparison has brought up."""

    #: The number of existence checks.
    checks: int
    #: The queued runs after these checks.
    queued: list[str]


def compare(states: RunStates, *, namespace: str, login: Login, url: str, expect: int) -> Found:
    """One comparison, and its checks until `expect` runs are queued."""

    async def play() -> Found:
        api, client = KubeApi(login), async_client.connect(url, timeout_seconds=5, client_name="test")
        queue, metrics = WorkQueue[str](), Metrics()
        checks = ExistenceChecks(api, states=states, queue=queue, metrics=metrics)
        comparison = Comparison(
            api=api,
            ledger=async_client.Ledger(client, prefix="kelery"),
            scope=Scope(cluster=CLUSTER, namespaces=[namespace]),
            states=states,
            queue=queue,
            checks=checks,
        )
        await Resync(comparison, every_seconds=60, metrics=metrics).first()
        checks_wanted, queued = len(checks), list[str]()
        checking = asyncio.create_task(checks.run())
        async with asyncio.timeout(30):
            while len(queued) < expect:
                queued += await queue.take()
        checking.cancel()
        await api.close()
        await client.aclose()
        return Found(checks=checks_wanted, queued=queued)

    return asyncio.run(play())


def test_a_run_that_vanished_behind_the_watchs_back_is_found(
    cluster: Cluster, valkey_url: str, login: Login
) -> None:
    body = cluster.create(name="vanished")
    states = RunStates()
    states.put(snapshot_of(body))
    cluster.delete("vanished")
    uid = body["metadata"]["uid"]
    found = compare(states, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(checks=1, queued=[uid])
    assert states.presence(uid) is Presence.GONE


def test_a_run_of_the_ledger_without_a_taskrun_is_found(
    cluster: Cluster, valkey_url: str, ledger: sync_client.Ledger, login: Login
) -> None:
    body = cluster.create(name="deleted")
    uid = submit(ledger, body)
    cluster.delete("deleted")
    cluster.create(name="deleted")
    states = RunStates()
    found = compare(states, namespace=cluster.namespace, login=login, url=valkey_url, expect=2)
    assert found.checks == 1
    assert states.presence(uid) is Presence.GONE


def test_a_run_of_another_namespace_is_another_operators(
    cluster: Cluster, valkey_url: str, ledger: sync_client.Ledger, login: Login
) -> None:
    foreign = cluster.create(name="foreign")
    uid = submit(ledger, {**foreign, "metadata": {**foreign["metadata"], "namespace": "elsewhere"}})
    cluster.delete("foreign")
    own = cluster.create(name="own")
    states = RunStates()
    found = compare(states, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(checks=0, queued=[own["metadata"]["uid"]])
    assert states.presence(uid) is Presence.UNKNOWN


def test_an_unfinished_run_that_nobody_announced_is_found(
    cluster: Cluster, valkey_url: str, login: Login
) -> None:
    body = cluster.create(name="unseen")
    finished = cluster.create(name="finished")
    assert cluster.break_status("finished", {"phase": "Succeeded"}).status == 200
    states = RunStates()
    found = compare(states, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(checks=0, queued=[body["metadata"]["uid"]])
    assert states.presence(finished["metadata"]["uid"]) is Presence.UNKNOWN
