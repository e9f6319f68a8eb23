"""`kelery dev`: the whole stack on this machine, in the foreground."""

import asyncio
from pathlib import Path

import click

from kelery.options import Command
from kelery_dev.control_plane.sources import VARIABLES
from kelery_dev.stack.foreground import Foreground
from kelery_dev.stack.stack import DEFAULT_CONCURRENCY, DEMO_APP, Stack, StackOptions

_ENVIRONMENT = {
    **VARIABLES,
    "KELERY_START_TASK": "The task that `/start` runs.  [default: one of the app's own tasks]",
    "KELERY_DEFAULT_QUEUE": "The Celery queue of runs that name none.  [default: the app's]",
    "KELERY_BROKER_KEY_PREFIX": "The `global_keyprefix` of the broker options.  [default: the app's]",
}


@click.command(cls=Command, environment=_ENVIRONMENT)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Port of 127.0.0.1 for the REST gateway, which needs no token there.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kelery"),
    show_default=True,
    help="Where everything that must outlive a restart is kept.",
)
@click.option(
    "--app",
    metavar="MODULE[:NAME]",
    default=DEMO_APP,
    show_default=True,
    help="The Celery app that the worker runs: module or module:name, as in proj or proj.celery:app.",
)
@click.option(
    "-Q",
    "--queues",
    metavar="NAMES",
    help="Celery queues that the worker takes, separated by commas; by default the app's own.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="How many tasks the worker runs at a time.",
)
@click.option(
    "--reload", is_flag=True, help="Start the worker again when its code changes; runs get 10 s to end."
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this cluster instead of a control plane of our own; only the CRD is applied to it. No other"
    " operator of Kelery may watch it: each run would run twice.",
)
def dev(
    *,
    port: int,
    state_dir: Path,
    app: str,
    queues: str | None,
    concurrency: int,
    reload: bool,
    kubeconfig: Path | None,
) -> None:
    """Run the whole stack on this machine until Ctrl-C: Valkey, API server, worker, operator, gateway.

    Worker, operator and gateway read their own variables too: see `kelery worker --help`, `kelery operator
    --help` and `kelery api --help`.
    """
    options = StackOptions(
        state_dir=state_dir,
        app=app,
        queues=queues,
        concurrency=concurrency,
        port=port,
        reload=reload,
        kubeconfig=kubeconfig,
    )
    stack = Stack(options)
    # Before the event loop: building a control plane takes minutes, and Ctrl-C must end it.
    stack.prepare()
    asyncio.run(Foreground(stack).run())
