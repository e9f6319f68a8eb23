"""The namespace of the benchmark's objects, and their clean-up in every case.

All objects have a label of this benchmark. A namespace that was created for it is deleted completely; in a
given namespace only the labelled objects are deleted.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

from kelery.errors import KeleryError
from kelery.kube.answer import KubeError
from kelery.kube.sync_session import SyncSession
from kelery_bench.case import Report
from kelery_bench.clients import taskruns
from kelery_bench.cluster import jobs
from kelery_bench.cluster.rights import check_kelery_is_there, check_rights
from kelery_bench.cluster.target import Target
from kelery_dev.errors import DevError

LABEL = "kelery.dev/bench"
_PATIENCE_SECONDS = 180.0
_SILENCE_SECONDS = 60.0
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A namespace, and the label of the benchmark's objects."""

    access: SyncSession
    namespace: str
    run: str
    #: Whether the namespace was created for this benchmark.
    own: bool

    @property
    def labels(self) -> dict[str, str]:
        """The labels of each object."""
        return {LABEL: self.run}

    @property
    def selector(self) -> str:
        """The label selector of the objects."""
        return f"{LABEL}={self.run}"

    def clear(self) -> None:
        """Delete the benchmark's objects; returns when they are gone, including the Jobs' pods."""
        collections = (taskruns.collection(self.namespace), jobs.collection(self.namespace))
        self._delete(collections[0], dependents="Background")
        # With Foreground, a Job is gone when its pods are gone.
        self._delete(collections[1], dependents="Foreground")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while left := [collection for collection in collections if self._has(collection)]:
            if time.monotonic() > deadline:
                raise DevError(f"{left[0]} still has objects that were deleted {_PATIENCE_SECONDS:g} s ago")
            time.sleep(_POLL_SECONDS)

    def leave(self) -> None:
        """Delete all objects of the benchmark, and its own namespace."""
        if not self.own:
            self.clear()
            return
        # The TaskRuns first, so that running ones are cancelled now.
        self._delete(taskruns.collection(self.namespace), dependents="Background")
        answer = self.access.request("DELETE", path=f"/api/v1/namespaces/{self.namespace}")
        if answer.status not in (200, 202, 404, 409):
            raise DevError(f"cannot delete the namespace {self.namespace}: {answer.message}")

    def _delete(self, collection: str, *, dependents: str) -> None:
        chosen = f"labelSelector={urllib.parse.quote(self.selector)}"
        path = f"{collection}?propagationPolicy={dependents}&{chosen}"
        deadline = time.monotonic() + _SILENCE_SECONDS
        while True:
            try:
                answer = self.access.request("DELETE", path=path)
            except KubeError:
                # Thousands of objects may need more time than one request has; repeat it.
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
                continue
            if answer.status not in (200, 202, 404):
                raise DevError(f"cannot delete the benchmark's objects in {collection}: {answer.message}")
            return

    def _has(self, collection: str) -> bool:
        path = f"{collection}?limit=1&labelSelector={urllib.parse.quote(self.selector)}"
        answer = self.access.request("GET", path=path)
        if answer.status not in (200, 404):
            raise DevError(f"cannot list {collection}: {answer.message}")
        return bool(answer.body.get("items"))


@contextlib.contextmanager
def bench_space(target: Target, *, report: Report) -> Iterator[Space]:
    """The space, after all checks; cleaned up also after an error and after Ctrl-C."""
    check_kelery_is_there(target.access)
    run = secrets.token_hex(3)
    own = target.namespace is None
    space = Space(access=target.access, namespace=target.namespace or f"kelery-bench-{run}", run=run, own=own)
    check_rights(target, namespace=space.namespace)
    try:
        if own:
            _create_namespace(space)
        report(f"using the namespace {space.namespace}; to clean up after a kill: {_by_hand(space)}")
        yield space
    except BaseException:
        report("deleting the created objects")
        try:
            space.leave()
        except KeleryError as error:
            # The original error is raised below.
            report(f"{error}; clean up with: {_by_hand(space)}")
        raise
    try:
        space.leave()
    except KeleryError as error:
        raise DevError(f"{error}; clean up with: {_by_hand(space)}") from error


def _create_namespace(space: Space) -> None:
    labels = {**space.labels, "pod-security.kubernetes.io/enforce": "restricted"}
    body = {"metadata": {"name": space.namespace, "labels": labels}}
    answer = space.access.request("POST", path="/api/v1/namespaces", body=body)
    if answer.status != 201:
        raise DevError(f"cannot create the namespace {space.namespace}: {answer.message}")


def _by_hand(space: Space) -> str:
    if space.own:
        return f"kubectl delete namespace {space.namespace}"
    return f"kubectl delete taskruns.kelery.dev,jobs -n {space.namespace} -l {space.selector}"
