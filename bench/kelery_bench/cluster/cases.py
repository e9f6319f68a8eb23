"""TaskRuns against Jobs, on the same nodes, from the same client in the same minutes.

The task executes in a waiting process. A Job's pod is scheduled, created, started and removed for the Job
alone. This is the comparison, so task and Job do almost nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from kelery_bench.case import Case, Figures
from kelery_bench.clients import taskruns
from kelery_bench.clients.api_client import Prepared
from kelery_bench.clients.watched_ends import Ends
from kelery_bench.cluster import jobs
from kelery_bench.cluster.placement import Placement
from kelery_bench.cluster.space import Space
from kelery_bench.cluster.target import Target
from kelery_bench.figures.percentiles import percentiles
from kelery_bench.loads.object_times import one_by_one, rate_of, run_measure
from kelery_bench.size import Size

Found = TypeVar("Found")

#: The names for `--only`.
CASE_NAMES = ("job-latency", "job-throughput")

_WARM_UP = 5
_JOB_SECONDS = 600.0
#: Deleted objects keep operator and kubelet busy for a while.
_REST_SECONDS = 2.0
_DELETED_IN_A_SECOND = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """The numbers of objects in a round."""

    runs: int
    jobs: int
    runs_at_once: int
    jobs_at_once: int


def cluster_cases(target: Target, space: Space, *, placement: Placement, size: Size) -> list[Case]:
    """The two cases, in the order of CASE_NAMES."""
    counts = size.pick(
        quick=_Counts(runs=20, jobs=2, runs_at_once=300, jobs_at_once=10),
        full=_Counts(runs=50, jobs=5, runs_at_once=1000, jobs_at_once=50),
    )
    measures = _Measures(target, space, placement=placement)
    where = "the same node" if len(placement.nodes) == 1 else "the workers' nodes"
    job = f"a Job of `{placement.python.rpartition('/')[2]} -c pass` on {where}, image present,"
    latency, throughput = CASE_NAMES
    return [
        Case(
            name=latency,
            title=f"TaskRun of {target.task}, from creation until a watcher sees Succeeded, one at a time",
            reference=f"{job} from creation until a watcher sees Complete, one at a time",
            unit="ms",
            ours=lambda: measures.runs_one_by_one(counts.runs),
            theirs=lambda: measures.jobs_one_by_one(counts.jobs),
            rounds=size.pick(quick=2, full=5),
        ),
        Case(
            name=throughput,
            title=f"{counts.runs_at_once:,} TaskRuns of {target.task} created at once, until a watcher has"
            " seen all succeed",
            reference=f"{job} {counts.jobs_at_once} of them created at once, until a watcher has seen all"
            " complete",
            unit="per s",
            ours=lambda: measures.runs_at_once(counts.runs_at_once),
            theirs=lambda: measures.jobs_at_once(counts.jobs_at_once),
            rounds=size.pick(quick=2, full=3),
        ),
    ]


class _Measures:
    """The measurements; each call leaves no objects."""

    def __init__(self, target: Target, space: Space, *, placement: Placement) -> None:
        self._target = target
        self._space = space
        self._placement = placement
        self._numbers = itertools.count(1)

    def runs_one_by_one(self, count: int) -> Figures:
        names = self._names(count + _WARM_UP)
        creations = {name: self._run(name) for name in names}
        times = one_by_one(self._target.access, creations, watched=self._watched_runs())
        return percentiles(self._tidied(times, objects=len(names))[_WARM_UP:], shown=[50])

    def jobs_one_by_one(self, count: int) -> Figures:
        creations = {name: self._job(name) for name in self._names(count)}
        times = one_by_one(self._target.access, creations, watched=self._watched_jobs())
        return percentiles(self._tidied(times, objects=count), shown=[50])

    def runs_at_once(self, count: int) -> Figures:
        requests = {name: [self._run(name)] for name in self._names(count)}
        rate = rate_of(self._target.access, requests, watched=self._watched_runs())
        return {"rate": self._tidied(rate, objects=count)}

    def jobs_at_once(self, count: int) -> Figures:
        requests = {name: [self._job(name)] for name in self._names(count)}
        rate = rate_of(self._target.access, requests, watched=self._watched_jobs())
        return {"rate": self._tidied(rate, objects=count)}

    def _tidied(self, measure: Coroutine[Any, Any, Found], *, objects: int) -> Found:
        found = run_measure(measure, seconds=_JOB_SECONDS)
        # After an error, `bench_space` clears the space.
        self._space.clear()
        time.sleep(_REST_SECONDS + objects / _DELETED_IN_A_SECOND)
        return found

    def _run(self, name: str) -> Prepared:
        return taskruns.creation(
            self._target.access,
            namespace=self._space.namespace,
            name=name,
            spec=self._target.spec,
            labels=self._space.labels,
        )

    def _job(self, name: str) -> Prepared:
        return jobs.creation(
            self._target.access,
            namespace=self._space.namespace,
            name=name,
            placement=self._placement,
            labels=self._space.labels,
        )

    def _watched_runs(self) -> AbstractAsyncContextManager[Ends]:
        space = self._space
        return taskruns.watched_runs(self._target.access, space.namespace, selector=space.selector)

    def _watched_jobs(self) -> AbstractAsyncContextManager[Ends]:
        space = self._space
        return jobs.watched_jobs(self._target.access, space.namespace, selector=space.selector)

    def _names(self, count: int) -> list[str]:
        """Names with the id of this benchmark: a given namespace may contain objects of any name."""
        return [f"bench-{self._space.run}-{number}" for number in itertools.islice(self._numbers, count)]
