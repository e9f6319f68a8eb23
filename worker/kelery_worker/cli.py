"""`kelery worker`: Celery's worker with the flags that suit Kelery."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from click.core import ParameterSource

from kelery.options import Command
from kelery_worker.settings import OPTIONS


@click.command(
    cls=Command,
    settings=OPTIONS,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option(
    "-A",
    "--app",
    required=True,
    help="The Celery app: a module, or module:name. The demo's is kelery_worker.demo.",
)
@click.option(
    "-c", "--concurrency", type=click.IntRange(min=1), help="Pool processes; by default one a core."
)
@click.option("-Q", "--queues", help="Comma-separated Celery queues; by default the app's own.")
@click.option("-n", "--name", default="kelery@%h", show_default=True, help="The worker's node name.")
@click.option("-l", "--loglevel", default="INFO", show_default=True)
@click.argument("celery_args", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def worker(
    context: click.Context,
    /,
    *,
    app: str,
    concurrency: int | None,
    queues: str | None,
    name: str,
    loglevel: str,
    celery_args: tuple[str, ...],
    **values: Any,
) -> None:
    """Run a Celery worker that takes Kelery's runs (and plain Celery tasks).

    Broker and ledger are KELERY_REDIS_URL, else the app's own broker; Celery's CELERY_BROKER_URL overrides
    that.

    CELERY_ARGS are handed on to `celery worker`. The prefork pool is required: no other pool can always stop
    a task.
    """
    if any(word.startswith(("-P", "--pool")) for word in celery_args):
        raise click.UsageError("leave -P/--pool out: prefork is used, no other pool can always stop a run")
    command = [
        "-A",
        app,
        "worker",
        "-I",
        "kelery_worker",
        "-P",
        "prefork",
        "-O",
        "fair",
        "--disable-prefetch",
    ]
    # They only serve Celery's own revokes and elections, which Kelery does not use.
    command += ["--without-gossip", "--without-mingle", "-n", name, "-l", loglevel]
    if concurrency is not None:
        command += ["-c", str(concurrency)]
    if queues:
        command += ["-Q", queues]
    # The plug-in reads its environment, however the worker was started.
    given = {
        setting.variables[0]: str(values[setting.name])
        for setting in OPTIONS
        if context.get_parameter_source(setting.name) is ParameterSource.COMMANDLINE
    }
    # As a process of its own: Celery gets the signals itself, and sees the command line that it expects.
    argv = [sys.executable, "-m", "celery", *command, *celery_args]
    os.execve(sys.executable, argv, {**os.environ, **given})
