"""`kelery worker`: `celery worker` with the plug-in and the flags that it needs."""

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
    "-c", "--concurrency", type=click.IntRange(min=1), help="Pool processes.  [default: one per core]"
)
@click.option("-Q", "--queues", help="Celery queues, separated by commas.  [default: the app's queues]")
@click.option("-n", "--name", default="kelery@%h", show_default=True, help="The worker's node name.")
@click.option("-l", "--loglevel", default="INFO", show_default=True, help="Celery's log level.")
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
    """Start a Celery worker that executes runs and plain Celery tasks.

    The ledger is in KELERY_REDIS_URL, else in the app's broker. Celery's CELERY_BROKER_URL overrides the
    app's broker.

    CELERY_ARGS are passed to `celery worker`. The pool is prefork, because no other pool can stop every task.
    """
    if any(word.startswith(("-P", "--pool")) for word in celery_args):
        raise click.UsageError("remove -P/--pool: runs need the prefork pool, which is always used")
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
    # Gossip and mingle serve Celery's own revokes and elections, which Kelery does not use.
    command += ["--without-gossip", "--without-mingle", "-n", name, "-l", loglevel]
    if concurrency is not None:
        command += ["-c", str(concurrency)]
    if queues:
        command += ["-Q", queues]
    # The plug-in reads the environment, no matter how the worker was started.
    given = {
        setting.variables[0]: str(values[setting.name])
        for setting in OPTIONS
        if context.get_parameter_source(setting.name) is ParameterSource.COMMANDLINE
    }
    # exec: Celery receives the signals itself, and sees the command line that it expects.
    argv = [sys.executable, "-m", "celery", *command, *celery_args]
    os.execve(sys.executable, argv, {**os.environ, **given})
