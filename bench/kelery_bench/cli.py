"""`kelery bench`: compares Kelery with references, on this machine or on a cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from kelery.kube.sync_session import SyncSession
from kelery.options import Command
from kelery_bench.cluster import measuring
from kelery_bench.cluster.target import DEFAULT_TASK, Target, is_namespace_name
from kelery_bench.results import machine, plot, report
from kelery_bench.results.results import Result
from kelery_bench.run import chosen_groups, measure
from kelery_bench.size import Size
from kelery_dev.control_plane.sources import VARIABLES, find_control_plane

_CAPTION = "Ratio of Kelery to the reference (1 = equal)"
_ON_A_CLUSTER = ("context", "namespace", "task", "queue", "image", "worker_namespace")


def _namespace_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_namespace_name(value):
        raise click.BadParameter("is not a valid namespace name", ctx=context, param=parameter)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The results, and what they were measured on, for programs and as text."""

    results: Sequence[Result]
    about: Mapping[str, Any]
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _HowMuch:
    """The selected groups, size and rounds."""

    only: tuple[str, ...]
    size: Size
    rounds: int | None


@click.command(cls=Command, environment=VARIABLES)
@click.option("--only", metavar="NAME", multiple=True, help="Run only this group of cases; may be repeated.")
@click.option("--quick", is_flag=True, help="Run few and short rounds, as a rough check.")
@click.option("--rounds", type=click.IntRange(min=1), help="Number of rounds of each case.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures as JSON."
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the ratios that have a goal, as SVG.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table as Markdown.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare TaskRuns with Jobs on the cluster of this file, where Kelery is installed.",
)
@click.option("--context", help="Cluster only: the kubeconfig's context.  [default: its current one]")
@click.option(
    "--namespace",
    callback=_namespace_name,
    help="Cluster only: the namespace to use.  [default: a new one, deleted afterwards]",
)
@click.option(
    "--task",
    help="Cluster only: a task of your app that does nothing and needs no arguments."
    f"  [default: {DEFAULT_TASK}]",
)
@click.option("--queue", help="Cluster only: the task's queue.  [default: the installation's]")
@click.option(
    "--image",
    help="Cluster only: the image of the Jobs; it needs python3.  [default: the workers' image]",
)
@click.option(
    "--worker-namespace",
    callback=_namespace_name,
    help="Cluster only: the namespace of the workers' pods.  [default: all namespaces are searched]",
)
def bench(
    *,
    only: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    json_file: Path | None,
    plot_file: Path | None,
    markdown_file: Path | None,
    kubeconfig: Path | None,
    **on_a_cluster: str | None,
) -> None:
    """Benchmark this installation.

    Kelery and its references are measured in turns, in one run. Compare the ratios between machines, not the
    times.

    With --kubeconfig, TaskRuns are compared with Jobs that do nothing, on the nodes of the workers. This
    needs some minutes and loads a node. All created objects are deleted.
    """
    how_much = _HowMuch(only=only, size=Size.QUICK if quick else Size.FULL, rounds=rounds)
    if kubeconfig:
        found = _measure_on_cluster(kubeconfig, how_much, options=on_a_cluster)
    elif given := [name for name in _ON_A_CLUSTER if on_a_cluster[name]]:
        raise click.UsageError(f"--{given[0].replace('_', '-')} needs --kubeconfig")
    else:
        found = _measure_here(how_much)
    click.echo(f"{report.table(found.results)}\n\n{found.line}")
    if json_file:
        about = {"size": how_much.size.value, **found.about}
        json_file.write_text(json.dumps(report.document(found.results, **about), indent=2) + "\n")
    if plot_file:
        plot_file.write_text(plot.svg([result for result in found.results if result.goal], caption=_CAPTION))
    if markdown_file:
        markdown_file.write_text(f"{report.markdown(found.results)}\n")


def _measure_here(how_much: _HowMuch) -> _Found:
    groups = chosen_groups(how_much.only)
    binaries = find_control_plane()
    results = measure(
        groups, size=how_much.size, binaries=binaries, rounds=how_much.rounds, report=_Progress()
    )
    here = machine.describe_machine()
    about = {"machine": here, "programs": machine.describe_programs(binaries)}
    return _Found(results=results, about=about, line=machine.one_line(here))


def _measure_on_cluster(kubeconfig: Path, how_much: _HowMuch, *, options: Mapping[str, str | None]) -> _Found:
    chosen = measuring.chosen_cases(how_much.only)
    target = Target(
        access=SyncSession.from_kubeconfig(kubeconfig, context=options["context"]),
        namespace=options["namespace"],
        task=options["task"] or DEFAULT_TASK,
        queue=options["queue"],
        image=options["image"],
        worker_namespace=options["worker_namespace"],
    )
    measured = measuring.measure_on_cluster(
        target, chosen=chosen, size=how_much.size, rounds=how_much.rounds, report=_Progress()
    )
    client = machine.describe_machine()
    return _Found(
        results=measured.results,
        about={"cluster": measured.cluster, "client": client},
        line=f"{measuring.one_line(measured.cluster)}\nClient: {machine.one_line(client)}",
    )


class _Progress:
    """Progress lines on stderr, each with the time since the start."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __call__(self, line: str) -> None:
        click.echo(f"[{time.perf_counter() - self._began:5.0f} s] {line}", err=True)
