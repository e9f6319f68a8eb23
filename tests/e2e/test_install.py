"""The time from an empty namespace to a result, and the memory of the parts."""

from __future__ import annotations

import time

from tests.e2e.figures import Figures
from tests.e2e.node import Node, Process
from tests.e2e.release import Release
from tests.support.cluster import Cluster

# The product's goals. Memory hardly varies between machines. Time does, so it is only printed.
_INSTALL_SECONDS = 60
_OPERATOR_MB, _GATEWAY_MB, _WORKER_MB = 90, 110, 160


def test_from_nothing_to_the_first_result(bare_release: Release, runs: Cluster, figures: Figures) -> None:
    """Runs first, in an empty namespace, unless objects of an earlier session are still there."""
    if bare_release.is_installed():
        bare_release.uninstall()
    started = time.monotonic()
    bare_release.install()
    ready = time.monotonic()
    runs.create(name="first", task="demo.add", args=[20, 22])
    status = runs.wait_for("first", seconds=30, phase="Succeeded")
    figures.note("helm install --wait", ready - started, "s")
    figures.note(
        "helm install to the first TaskRun Succeeded", time.monotonic() - started, "s", goal=_INSTALL_SECONDS
    )
    assert status["result"]["value"] == 42


def test_helm_test_sends_a_run_through_both_apis(release: Release) -> None:
    said = release.test()
    assert "Kubernetes: Succeeded" in said
    assert "HTTP: Succeeded" in said


def test_the_idle_parts_are_small(release: Release, node: Node, figures: Figures) -> None:
    def weigh(component: str, container: str, *, pool: str = "") -> list[Process]:
        pod = release.pods(component, pool=pool)[0]
        return node.processes(pod, container=container)

    operator = sum(process.rss_megabytes for process in weigh("operator", "operator"))
    gateway = max(process.rss_megabytes for process in weigh("api", "api"))
    worker = _main_and_one_child(weigh("worker", "worker", pool="default"))
    figures.note("operator, RSS", operator, "MB", goal=_OPERATOR_MB)
    figures.note("gateway process, RSS", gateway, "MB", goal=_GATEWAY_MB)
    figures.note("worker, main process and one child, RSS", worker, "MB", goal=_WORKER_MB)
    assert operator <= _OPERATOR_MB
    assert gateway <= _GATEWAY_MB
    assert worker <= _WORKER_MB


def _main_and_one_child(processes: list[Process]) -> float:
    """The memory of the main process, with the orphan reaper, and of one child."""
    by_pid = sorted(processes, key=lambda process: process.pid)
    assert by_pid[0].pid == 1, by_pid
    children = [
        process for process in by_pid[1:] if "ForkPoolWorker" in process.command or process.rss_megabytes > 30
    ]
    rest = [process for process in by_pid[1:] if process not in children]
    return by_pid[0].rss_megabytes + children[0].rss_megabytes + sum(p.rss_megabytes for p in rest)
