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
from kelery.taskrun import manifest
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.cache import Cache
from kelery_operator.taskrun.decide import Presence
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.kube_api import KubeApi
from kelery_operator.taskrun.resync import Resync
from tests.support.cluster import Body, Cluster

CLUSTER = "this-cluster"


@pytest.fixture
def login(control_plane: ControlPlane) -> Login:
    """The administrator's credentials."""
    return Login(partial(from_kubeconfig, [control_plane.kubeconfig]))


def submit(ledger: sync_client.Ledger, body: Body) -> str:
    """Make the run known to the ledger, as an operator did once."""
    run = manifest.parse_task_run(body)
    ledger.run(
        commands.submit(manifest.submission(run, cluster=CLUSTER, settings=LedgerSettings(redis_url="")))
    )
    return run.uid


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one comparison has brought up."""

    #: How many runs were to be looked at alone.
    looks: int
    #: What is to be dealt with after these looks.
    queued: list[str]


def compare(cache: Cache, *, namespace: str, login: Login, url: str, expect: int) -> Found:
    """One comparison, and the looks that follow from it until `expect` runs are to be dealt with."""

    async def play() -> Found:
        api, client = KubeApi(login), async_client.connect(url, timeout_seconds=5, client_name="test")
        queue, metrics = WorkQueue(), Metrics()
        looks = ExistenceChecks(api, cache=cache, queue=queue, metrics=metrics)
        resync = Resync(
            api=api,
            ledger=async_client.Ledger(client, prefix="kelery"),
            cluster=CLUSTER,
            namespaces=[namespace],
            every_seconds=60,
            cache=cache,
            queue=queue,
            looks=looks,
            metrics=metrics,
        )
        await resync.first()
        looks_wanted, queued = len(looks), list[str]()
        looking = asyncio.create_task(looks.run())
        async with asyncio.timeout(10):
            while len(queued) < expect:
                queued += await queue.take()
        looking.cancel()
        await api.close()
        await client.aclose()
        return Found(looks=looks_wanted, queued=queued)

    return asyncio.run(play())


def test_a_run_that_vanished_behind_the_watchs_back_is_found(
    cluster: Cluster, valkey_url: str, login: Login
) -> None:
    body = cluster.create(name="vanished")
    cache = Cache()
    cache.put(body)
    cluster.delete("vanished")
    uid = body["metadata"]["uid"]
    found = compare(cache, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(looks=1, queued=[uid])
    assert cache.presence(uid) is Presence.GONE


def test_a_run_of_the_ledger_without_a_taskrun_is_found(
    cluster: Cluster, valkey_url: str, ledger: sync_client.Ledger, login: Login
) -> None:
    body = cluster.create(name="deleted")
    uid = submit(ledger, body)
    cluster.delete("deleted")
    cluster.create(name="deleted")
    cache = Cache()
    found = compare(cache, namespace=cluster.namespace, login=login, url=valkey_url, expect=2)
    assert found.looks == 1
    assert cache.presence(uid) is Presence.GONE


def test_a_run_of_another_namespace_is_another_operators(
    cluster: Cluster, valkey_url: str, ledger: sync_client.Ledger, login: Login
) -> None:
    foreign = cluster.create(name="foreign")
    uid = submit(ledger, {**foreign, "metadata": {**foreign["metadata"], "namespace": "elsewhere"}})
    cluster.delete("foreign")
    own = cluster.create(name="own")
    cache = Cache()
    found = compare(cache, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(looks=0, queued=[own["metadata"]["uid"]])
    assert cache.presence(uid) is Presence.UNKNOWN


def test_an_unfinished_run_that_nobody_announced_is_found(
    cluster: Cluster, valkey_url: str, login: Login
) -> None:
    body = cluster.create(name="unseen")
    finished = cluster.create(name="finished")
    assert cluster.break_status("finished", {"phase": "Succeeded"}).status == 200
    cache = Cache()
    found = compare(cache, namespace=cluster.namespace, login=login, url=valkey_url, expect=1)
    assert found == Found(looks=0, queued=[body["metadata"]["uid"]])
    assert cache.presence(finished["metadata"]["uid"]) is Presence.UNKNOWN
