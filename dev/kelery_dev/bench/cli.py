"""`kelery bench`: how fast Kelery is beside what it is made of, measured here and now."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from kelery_dev.bench import machine, plot, report
from kelery_dev.bench.run import chosen_groups, measure
from kelery_dev.bench.size import Size
from kelery_dev.control_plane_sources import find_control_plane

_CAPTION = "Kelery's figures in units of their references' (1 = as much as the reference)"


@click.command()
@click.option("--only", metavar="NAME", multiple=True, help="Only these groups of cases; may be repeated.")
@click.option("--quick", is_flag=True, help="Few and short rounds: to see that nothing is badly wrong.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each case.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here."
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the ratios that have a goal here, as SVG.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here, as Markdown.",
)
def bench(
    *,
    only: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    json_file: Path | None,
    plot_file: Path | None,
    markdown_file: Path | None,
) -> None:
    """Measure Kelery beside its references, in turns, in one run on this machine.

    The figures of two machines, or of two moments of one, cannot be compared; the ratios can.
    """
    groups = chosen_groups(only)
    binaries = find_control_plane()
    size = Size.QUICK if quick else Size.FULL
    began = time.perf_counter()
    results = measure(
        groups,
        size=size,
        binaries=binaries,
        rounds=rounds,
        told=lambda line: click.echo(f"[{time.perf_counter() - began:5.0f} s] {line}", err=True),
    )
    here = machine.describe_machine()
    click.echo(f"{report.table(results)}\n\n{machine.one_line(here)}")
    if json_file:
        about = {"size": size.value, "machine": here, "programs": machine.describe_programs(binaries)}
        json_file.write_text(json.dumps(report.document(results, **about), indent=2) + "\n")
    if plot_file:
        plot_file.write_text(plot.svg([result for result in results if result.goal], caption=_CAPTION))
    if markdown_file:
        markdown_file.write_text(f"{report.markdown(results)}\n")
