"""A trial before the measurements: one run, and one Job per node, with errors that name a remedy.

The run also shows which worker took it, and the Jobs load their image on each node.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from kelery.run.phases import Phase, Reason
from kelery_bench.clients import taskruns
from kelery_bench.cluster import jobs
from kelery_bench.cluster.placement import Placement
from kelery_bench.cluster.space import Space
from kelery_bench.cluster.target import Target
from kelery_dev.errors import DevError

_RUN_SECONDS = 30.0
#: A Job may have to pull the given image.
_JOB_SECONDS = 180.0
_POLL_SECONDS = 0.2
#: The reasons of waiting containers that will not start by themselves.
_HOPELESS = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)

Body = Mapping[str, Any]


def try_task(target: Target, space: Space, *, seconds: float = _RUN_SECONDS) -> str:
    """Run the task once; returns the name of its worker."""
    ended = (Phase.SUCCEEDED.value, Phase.FAILED.value, Phase.CANCELLED.value)
    body = taskruns.manifest(f"trial-{space.run}", spec=target.spec, labels=space.labels)
    status = _tried(
        space,
        taskruns.collection(space.namespace),
        body,
        until=lambda run: _status(run).get("phase") in ended,
        seconds=seconds,
    )
    if status.get("phase") != Phase.SUCCEEDED.value:
        raise DevError(why_no_success(status, target=target, namespace=space.namespace, seconds=seconds))
    return str(status.get("worker") or "")


def why_no_success(status: Body, *, target: Target, namespace: str, seconds: float) -> str:
    """The message for a trial run that did not succeed, with a remedy."""
    phase, reason = status.get("phase"), status.get("reason")
    error = status.get("error") or {}
    if reason == Reason.TASK_NOT_REGISTERED.value:
        return f"the workers have no task {target.task}: choose one of theirs that does nothing with --task"
    if phase in (Phase.FAILED.value, Phase.CANCELLED.value):
        said = f" ({error.get('type')}: {error.get('message')})" if error else ""
        return (
            f"the task {target.task} ended as {phase}/{reason}{said}:"
            " choose one that does nothing and needs no arguments with --task"
        )
    if reason == Reason.WAITING_FOR_WORKER.value:
        queue = f"the queue {target.queue}" if target.queue else "the installation's default queue"
        return (
            f"no worker took a run from {queue} within {seconds:g} s: start workers that consume it,"
            " or choose another queue with --queue"
        )
    if phase == Phase.RUNNING.value:
        return (
            f"the task {target.task} was still running after {seconds:g} s:"
            " choose one that does nothing with --task"
        )
    if words := [one["message"] for one in status.get("conditions") or () if one.get("message")]:
        return f"a run of {target.task} did not start within {seconds:g} s: {words[0]}"
    return (
        f"no operator handled a TaskRun in the namespace {namespace} within {seconds:g} s: check that it"
        " is ready; if it serves only some namespaces (scope.mode: namespaces), choose one of these with"
        " --namespace"
    )


def try_jobs(placement: Placement, space: Space, *, seconds: float = _JOB_SECONDS) -> None:
    """Run one Job on each node."""
    for number, node in enumerate(placement.nodes, 1):
        name = f"trial-{space.run}-{number}"
        body = jobs.manifest(name, placement=placement, labels=space.labels, nodes=[node])
        if said := _try_job(body, space, seconds=seconds):
            raise DevError(
                f"a Job with the image {placement.image} did not complete on the node {node}: {said}"
            )


def _try_job(body: Body, space: Space, *, seconds: float) -> str:
    """Why the Job has not completed; empty if it has."""
    name = body["metadata"]["name"]
    status = _tried(
        space,
        jobs.collection(space.namespace),
        body,
        until=lambda job: _has_ended(job) or _is_stuck(space, job=name),
        seconds=seconds,
    )
    completed = _has_ended({"status": status}, kinds=("Complete",))
    return "" if completed else _what_its_pods_say(space, job=name)


def _tried(
    space: Space, collection: str, body: Body, *, until: Callable[[Body], bool], seconds: float
) -> Body:
    """The status of the object when it has ended, or the last one at the time limit."""
    kind = body["kind"]
    answer = space.access.request("POST", path=collection, body=body)
    if answer.status != 201:
        raise DevError(
            f"the API server rejected the {kind} in the namespace {space.namespace}: {answer.message}"
        )
    deadline = time.monotonic() + seconds
    while True:
        answer = space.access.request("GET", path=f"{collection}/{body['metadata']['name']}")
        if answer.status != 200:
            raise DevError(f"cannot read the created {kind}: {answer.message}")
        if until(answer.body) or time.monotonic() > deadline:
            return _status(answer.body)
        time.sleep(_POLL_SECONDS)


def _has_ended(job: Body, *, kinds: tuple[str, ...] = ("Complete", "Failed")) -> bool:
    conditions = _status(job).get("conditions") or ()
    return any(one["type"] in kinds and one["status"] == "True" for one in conditions)


def _is_stuck(space: Space, *, job: str) -> bool:
    """Whether the Job will not start by itself."""
    containers = [one for pod in _pods_of(space, job=job) for one in _containers(pod)]
    return any((one["state"].get("waiting") or {}).get("reason") in _HOPELESS for one in containers)


def _what_its_pods_say(space: Space, *, job: str) -> str:
    """Why the Job is stuck or has failed, from its pods or, without pods, from its events."""
    said = [word for pod in _pods_of(space, job=job) for word in _words_of(pod)]
    if not said:
        events = _items(space, "events", f"fieldSelector={urllib.parse.quote(f'involvedObject.name={job}')}")
        said = [str(event.get("message")) for event in events[-1:]]
    return "; ".join(said) or "no readable pod or event shows the cause"


def _words_of(pod: Body) -> list[str]:
    said = [one.get("message") for one in _status(pod).get("conditions") or () if one["status"] == "False"]
    for container in _containers(pod):
        for state in container["state"].values():
            said.append(": ".join(filter(None, (state.get("reason"), state.get("message")))))
    return [word for word in said if word]


def _pods_of(space: Space, *, job: str) -> list[Body]:
    selector = urllib.parse.quote(f"batch.kubernetes.io/job-name={job}")
    return _items(space, "pods", f"labelSelector={selector}")


def _containers(pod: Body) -> list[Body]:
    return [one for one in _status(pod).get("containerStatuses") or () if one.get("state")]


def _items(space: Space, kind: str, query: str) -> list[Body]:
    """The objects; empty without the permission to list them."""
    answer = space.access.request("GET", path=f"/api/v1/namespaces/{space.namespace}/{kind}?{query}")
    return list(answer.body.get("items") or ()) if answer.status == 200 else []


def _status(body: Body) -> Body:
    return body.get("status") or {}
