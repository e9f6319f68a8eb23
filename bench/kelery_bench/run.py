"""Runs groups of cases, each on a new stack, all on one control plane."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from kelery_bench.case import Case, Report, compare
from kelery_bench.local_stack import local_stack
from kelery_bench.results.results import Result, results_of
from kelery_bench.size import Size
from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.errors import DevError


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cases that share a stack, and the services of that stack. Its module is `cases/<name>.py`."""

    name: str
    operator: bool = False
    gateway: bool = False
    worker: bool = False


GROUPS = (
    # It starts its own operator, which serves one namespace.
    Group(name="taskrun", worker=True),
    Group(name="rest", operator=True, gateway=True, worker=True),
    # It starts its own Redis and workers.
    Group(name="keys"),
    Group(name="worker", gateway=True),
    Group(name="ledger"),
    Group(name="operator", operator=True, worker=True),
)


def chosen_groups(names: Sequence[str]) -> list[Group]:
    """The groups of these names, in their usual order; all if none is named."""
    unknown = sorted(set(names) - {group.name for group in GROUPS})
    if unknown:
        known = ", ".join(group.name for group in GROUPS)
        raise DevError(f"there is no group {unknown[0]}: give one or more of {known}")
    return [group for group in GROUPS if not names or group.name in names]


def measure(
    groups: Sequence[Group], *, size: Size, binaries: Binaries, rounds: int | None, report: Report
) -> list[Result]:
    """The results of the groups; `rounds` overrides the rounds of the cases."""
    results = []
    with ControlPlane.start(binaries=binaries) as plane:
        for group in groups:
            results += _measure_group(group, plane=plane, size=size, rounds=rounds, report=report)
    return results


def cases_of(group: Group) -> Callable[..., AbstractContextManager[list[Case]]]:
    """The `cases` of the group's module, imported late because its libraries load slowly."""
    module: Any = importlib.import_module(f"kelery_bench.cases.{group.name}")
    cases: Callable[..., AbstractContextManager[list[Case]]] = module.cases
    return cases


def _measure_group(
    group: Group, *, plane: ControlPlane, size: Size, rounds: int | None, report: Report
) -> list[Result]:
    report(f"{group.name}: starting the services")
    results: list[Result] = []
    with (
        local_stack(
            plane=plane, operator=group.operator, gateway=group.gateway, worker=group.worker
        ) as stack,
        cases_of(group)(stack, size=size) as cases,
    ):
        for case in cases:
            wanted = case if rounds is None else dataclasses.replace(case, rounds=rounds)
            results += results_of(wanted, compare(wanted, report=report))
    return results
