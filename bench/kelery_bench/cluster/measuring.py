"""The benchmark on a cluster: checks, one trial of each kind, the measurements, and the clean-up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelery.kube.sync_session import SyncSession
from kelery_bench.case import Report, compare
from kelery_bench.cluster.cases import CASE_NAMES, cluster_cases
from kelery_bench.cluster.placement import Placement, find_placement
from kelery_bench.cluster.space import Space, bench_space
from kelery_bench.cluster.target import Target
from kelery_bench.cluster.trial import try_jobs, try_task
from kelery_bench.results.results import Result, results_of
from kelery_bench.size import Size
from kelery_dev.errors import DevError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The results, and the description of the cluster."""

    results: Sequence[Result]
    cluster: Mapping[str, Any]


def chosen_cases(names: Sequence[str]) -> list[str]:
    """The cases of these names, in their usual order; all if none is named."""
    if unknown := sorted(set(names) - set(CASE_NAMES)):
        known = ", ".join(CASE_NAMES)
        raise DevError(f"there is no case {unknown[0]} on a cluster: give one or more of {known}")
    return [name for name in CASE_NAMES if not names or name in names]


def measure_on_cluster(
    target: Target, *, chosen: Sequence[str], size: Size, rounds: int | None, report: Report
) -> Measured:
    """Measure the chosen cases, after one trial of each kind."""
    results: list[Result] = []
    with bench_space(target, report=report) as space:
        report(f"trial: a TaskRun of the task {target.task}")
        worker = try_task(target, space)
        placement = find_placement(target, worker=worker)
        report(f"trial: a Job with the image {placement.image} on {', '.join(placement.nodes)}")
        try_jobs(placement, space)
        space.clear()
        cluster = _described(target, placement=placement)
        for case in cluster_cases(target, space, placement=placement, size=size):
            if case.name in chosen:
                wanted = case if rounds is None else dataclasses.replace(case, rounds=rounds)
                results += results_of(wanted, compare(wanted, report=report))
        report(_leaving(space))
    return Measured(results=results, cluster=cluster)


def one_line(cluster: Mapping[str, Any]) -> str:
    """The cluster as one line of text."""
    nodes = "; ".join(f"{name} ({what})" for name, what in cluster["nodes"].items())
    return f"Kubernetes {cluster['kubernetes']}; workers on {nodes}"


def _described(target: Target, *, placement: Placement) -> dict[str, Any]:
    """The description of the cluster for the results."""
    version = target.access.request("GET", path="/version").body.get("gitVersion", "")
    return {
        "kubernetes": str(version),
        "task": target.task,
        "image": placement.image,
        "nodes": {node: _node(target.access, node) for node in placement.nodes},
    }


def _node(access: SyncSession, name: str) -> str:
    """The description of a node; "unknown" without the permission to read it."""
    answer = access.request("GET", path=f"/api/v1/nodes/{name}")
    if answer.status != 200:
        return "unknown"
    status = answer.body["status"]
    capacity, info = status["capacity"], status["nodeInfo"]
    return (
        f"{capacity['cpu']} cores, {capacity['memory']}, {info['osImage']}, {info['kernelVersion']},"
        f" {info['containerRuntimeVersion']}"
    )


def _leaving(space: Space) -> str:
    return f"deleting the namespace {space.namespace}" if space.own else "deleting the created objects"
