"""kubectl and the gateway manage the same runs: both show them, exclude by key and cancel."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kelery.run.phases import FINAL_PHASES
from tests.support.cluster import Cluster
from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until
from tests.support.system import System

FINAL = {phase.value for phase in FINAL_PHASES}


@pytest.fixture(scope="module")
def gateway(system: System) -> Iterator[GatewayProcess]:
    """A gateway for the system. It deletes TaskRuns with the administrator's rights."""
    process = system.start_gateway(KUBECONFIG=str(system.plane.kubeconfig))
    yield process
    process.kill()


@pytest.fixture
def runs(gateway: GatewayProcess, cluster: Cluster) -> Iterator[httpx.Client]:
    """A gateway client for the test's namespace."""
    with httpx.Client(base_url=f"{gateway.url}/v1/namespaces/{cluster.namespace}/", timeout=60) as client:
        yield client


def create(client: httpx.Client, *, name: str | None = None, **spec: Any) -> dict[str, Any]:
    body = {"spec": spec, **({"name": name} if name else {})}
    answer = client.post("taskruns", json=body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"].endswith(made["metadata"]["uid"])
    return made


def wait(client: httpx.Client, run: str, *, seconds: int = 30) -> dict[str, Any]:
    """Wait for the run's end; its TaskRun."""
    answer = client.get(f"taskruns/{run}", params={"wait": f"{seconds}s"})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    assert shown["status"]["phase"] in FINAL, shown["status"]
    return shown


def phase_of(client: httpx.Client, run: str) -> str:
    return str(client.get(f"taskruns/{run}").json()["status"]["phase"])


def test_a_run_of_kubectl_is_shown_by_uid_and_by_name_as_kubectl_shows_it(
    runs: httpx.Client, cluster: Cluster
) -> None:
    made = cluster.create(name="shown", task="users.echo", args=[{"a": None}])
    cluster.wait_for("shown", phase="Succeeded")
    by_name, by_uid = wait(runs, "shown"), wait(runs, made["metadata"]["uid"])
    assert by_name == by_uid
    theirs = cluster.get("shown")
    assert theirs is not None
    for part in ("name", "namespace", "uid"):
        assert by_name["metadata"][part] == theirs["metadata"][part]
    assert by_name["status"] == theirs["status"]
    assert by_name["status"]["result"] == {"value": {"a": None}, "truncated": False}
    assert by_name["spec"].items() >= theirs["spec"].items()


def test_runs_of_both_apis_are_listed_together_newest_first(runs: httpx.Client, cluster: Cluster) -> None:
    first = create(runs, task="users.echo")["metadata"]["name"]
    cluster.create(name="second", task="users.echo", args=[2])
    wait_until_known(runs, "second")
    third = create(runs, name="third", task="users.echo")["metadata"]["name"]
    listed = runs.get("taskruns").json()
    assert [item["metadata"]["name"] for item in listed["items"]] == [third, "second", first]
    origins = [item["metadata"]["annotations"]["kelery.dev/origin"] for item in listed["items"]]
    assert origins == ["REST", "TaskRun", "REST"]


def test_a_run_of_each_door_waits_for_one_of_the_other(runs: httpx.Client, cluster: Cluster) -> None:
    held = create(runs, task="users.nap", args=[60], concurrency={"key": "k"})["metadata"]["uid"]
    poll_until(lambda: phase_of(runs, held) == "Running", seconds=30, what="the first to run")
    cluster.create(name="waits", task="users.echo", args=[1], concurrency={"key": "k"})
    assert cluster.wait_for("waits", phase="Waiting")["concurrency"]["heldBy"] == [held]
    create(runs, name="waits-too", task="users.echo", concurrency={"key": "k"})
    key = runs.get("keys/k").json()
    assert (key["limit"], key["held"], key["waiting"]) == (1, 1, 2)
    assert [run["name"] for run in key["holders"]] == [held]
    assert [(run["name"], run["position"]) for run in key["waiters"]] == [("waits", 1), ("waits-too", 2)]
    assert runs.get("keys").json()["items"] == [{"key": "k", "limit": 1, "held": 1, "waiting": 2}]
    assert runs.post(f"taskruns/{held}:cancel", json={"mode": "force"}).status_code == 200
    cluster.wait_for("waits", phase="Succeeded")
    assert wait(runs, "waits-too")["status"]["phase"] == "Succeeded"
    assert runs.get("keys").json()["items"] == []


def test_a_cancel_through_the_gateway_ends_a_taskrun_as_its_status_says(
    runs: httpx.Client, cluster: Cluster
) -> None:
    cluster.create(name="stopped", task="users.nap", args=[60])
    cluster.wait_for("stopped", phase="Running")
    answer = runs.post("taskruns/stopped:cancel", json={"mode": "graceful", "reason": "no longer needed"})
    assert answer.status_code == 200
    status = cluster.wait_for("stopped", phase="Cancelled")
    assert status["reason"] == "CancelledByUser"
    finished = next(c for c in status["conditions"] if c["type"] == "Finished")
    assert "no longer needed" in finished["message"]
    assert wait(runs, "stopped")["status"]["phase"] == "Cancelled"


def test_a_cancel_through_kubectl_ends_what_the_gateway_shows(runs: httpx.Client, cluster: Cluster) -> None:
    cluster.create(name="stopped", task="users.nap", args=[60])
    cluster.wait_for("stopped", phase="Running")
    cluster.patch("stopped", cancel="Graceful")
    assert wait(runs, "stopped")["status"]["reason"] == "CancelledByUser"


def test_deleting_a_run_of_kubectl_through_the_gateway_deletes_the_taskrun(
    runs: httpx.Client, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    cluster.create(name="doomed", task="users.nap", args=[60, str(file)], concurrency={"key": "k"})
    poll_until(file.exists, seconds=30, what="its start")
    assert runs.delete("taskruns/doomed").status_code == 204
    assert runs.get("taskruns/doomed").status_code == 404
    assert cluster.get("doomed") is None
    poll_until(lambda: "finally" in file.read_text(), seconds=30, what="its end")
    poll_until(lambda: runs.get("keys").json()["items"] == [], seconds=30, what="its slot to be free")


def test_deleting_a_run_of_the_gateway_stops_and_hides_it(runs: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    uid = create(runs, task="users.nap", args=[60, str(file)], concurrency={"key": "k"})["metadata"]["uid"]
    poll_until(file.exists, seconds=30, what="its start")
    assert runs.delete(f"taskruns/{uid}").status_code == 204
    assert runs.get(f"taskruns/{uid}").status_code == 404
    assert runs.get("taskruns").json()["items"] == []
    poll_until(lambda: "finally" in file.read_text(), seconds=30, what="its end")
    assert runs.delete(f"taskruns/{uid}").status_code == 404


def test_a_deleted_run_that_does_not_end_can_still_be_forced(
    runs: httpx.Client, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    stubborn: dict[str, Any] = {
        "args": [str(file), 60, True],
        "cancelGracePeriodSeconds": 600,
        "concurrency": {"key": "k"},
    }
    uid = create(runs, task="users.ticks", **stubborn)["metadata"]["uid"]
    poll_until(file.exists, seconds=30, what="its first tick")
    assert runs.delete(f"taskruns/{uid}").status_code == 204
    assert [run["uid"] for run in runs.get("keys/k").json()["holders"]] == [uid]
    assert runs.get(f"taskruns/{uid}").status_code == 404
    assert runs.post(f"taskruns/{uid}:cancel", json={"mode": "force"}).status_code == 200
    poll_until(lambda: runs.get("keys").json()["items"] == [], seconds=30, what="its slot to be free")
    assert runs.post(f"taskruns/{uid}:cancel", json={"mode": "force"}).status_code == 404


def test_a_name_that_a_live_taskrun_has_is_taken(runs: httpx.Client, cluster: Cluster) -> None:
    made = cluster.create(name="taken", task="users.nap", args=[60])
    cluster.wait_for("taken", phase="Running")
    answer = runs.post("taskruns", json={"name": "taken", "spec": {"task": "users.echo"}})
    assert (answer.status_code, answer.json()["id"]) == (409, made["metadata"]["uid"])
    cluster.patch("taken", cancel="Force")
    cluster.wait_for("taken", phase="Cancelled")
    create(runs, name="taken", task="users.echo")


def test_of_two_runs_with_one_name_the_live_one_is_meant(runs: httpx.Client, cluster: Cluster) -> None:
    live = create(runs, name="twice", task="users.nap", args=[60])["metadata"]["uid"]
    poll_until(lambda: phase_of(runs, live) == "Running", seconds=30, what="the first to run")
    made = cluster.create(name="twice", task="users.echo", args=[1])
    wait_until_known(runs, made["metadata"]["uid"])
    assert wait(runs, made["metadata"]["uid"])["status"]["phase"] == "Succeeded"
    assert runs.get("taskruns/twice").json()["metadata"]["uid"] == live
    assert runs.post("taskruns/twice:cancel", json={"mode": "force"}).json()["metadata"]["uid"] == live


def test_a_result_that_the_status_truncates_is_served_whole(runs: httpx.Client, cluster: Cluster) -> None:
    text = "ä" * 40_000
    cluster.create(name="large", task="users.echo", args=[text])
    path = cluster.wait_for("large", phase="Succeeded")["result"]["path"]
    assert runs.get(httpx.URL(runs.base_url).join(path)).json() == text


def test_workers_and_queues_are_shown(runs: httpx.Client, gateway: GatewayProcess, cluster: Cluster) -> None:
    uid = create(runs, task="users.nap", args=[60])["metadata"]["uid"]
    poll_until(lambda: phase_of(runs, uid) == "Running", seconds=30, what="the run to start")
    create(runs, task="users.echo", queue="nobody-there")
    workers = httpx.get(f"{gateway.url}/v1/workers").json()["items"]
    mine = [worker for worker in workers if uid in worker["runs"]]
    assert [(worker["alive"], worker["slots"], worker["queues"]) for worker in mine] == [
        (True, 4, ["celery"])
    ]
    queues = {queue["name"]: queue for queue in httpx.get(f"{gateway.url}/v1/queues").json()["items"]}
    assert queues["nobody-there"] == {"name": "nobody-there", "queued": 1, "running": 0, "workers": 0}
    assert queues["celery"]["running"] >= 1
    assert queues["celery"]["workers"] == 1
    runs.post(f"taskruns/{uid}:cancel", json={"mode": "force"})


@pytest.mark.parametrize(
    ("count", "more_gateways"), [(48, 1), pytest.param(200, 3, marks=pytest.mark.thorough)]
)
def test_runs_of_one_key_through_both_apis_never_overlap(
    system: System, gateway: GatewayProcess, cluster: Cluster, tmp_path: Path, count: int, more_gateways: int
) -> None:
    """The tasks detect overlaps: each takes a kernel lock on its key's file, and records a refusal."""
    started = [system.start_gateway() for _ in range(more_gateways)]
    gateways = [gateway, *started]
    worker = system.start_worker(concurrency=2 * len(gateways))
    spec = {"task": "users.exclusive", "args": [str(tmp_path), "k", 0.005], "concurrency": {"key": "k"}}
    uids: list[str] = []
    created: list[subprocess.CompletedProcess[str]] = []

    def by_rest(gateway: GatewayProcess, count: int) -> None:
        base = f"{gateway.url}/v1/namespaces/{cluster.namespace}/taskruns"
        with httpx.Client(timeout=60) as client:
            for _ in range(count):
                key = str(uuid.uuid4())
                # Sometimes sent twice, as by a client that got no answer.
                for _ in range(1 + (random.random() < 0.2)):
                    answer = client.post(base, json={"spec": spec}, headers={"Idempotency-Key": key})
                    assert answer.status_code == 202, answer.text
                uids.append(answer.json()["metadata"]["uid"])

    def by_kubectl(count: int) -> None:
        manifests = [
            {
                "apiVersion": "kelery.dev/v1alpha1",
                "kind": "TaskRun",
                "metadata": {"name": f"both-{number}", "namespace": cluster.namespace},
                "spec": spec,
            }
            for number in range(count)
        ]
        file = tmp_path / "runs.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
        created.append(system.plane.kubectl("create", "-f", str(file)))

    share = count // 2 // len(gateways)
    halves = [threading.Thread(target=by_rest, args=(each, share)) for each in gateways]
    halves.append(threading.Thread(target=by_kubectl, args=(count // 2,)))
    for thread in halves:
        thread.start()
    for thread in halves:
        thread.join()
    try:
        assert [ran.returncode for ran in created] == [0], created
        base = f"{gateways[0].url}/v1/namespaces/{cluster.namespace}/taskruns"

        def ended() -> Counter[str]:
            items = httpx.get(base, params={"limit": 500}, timeout=60).json()["items"]
            return Counter(item["status"]["phase"] for item in items)

        poll_until(
            lambda: ended() == {"Succeeded": count}, seconds=120, what="all runs", state=ended, every=0.5
        )
        assert not (tmp_path / "overlaps").exists()
        assert len(set(uids)) == count // 2
        assert len((tmp_path / "starts").read_text().splitlines()) == count
    finally:
        for each in started:
            each.kill()
        worker.close()


def wait_until_known(client: httpx.Client, run: str) -> None:
    """Wait until the operator has submitted the run."""
    poll_until(
        lambda: client.get(f"taskruns/{run}").status_code == 200, seconds=30, what=f"{run} to be submitted"
    )
