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
    "KELERY_START_TASK": "The task that `/start` runs.  [default: one of the app's tasks]",
    "KELERY_DEFAULT_QUEUE": "The Celery queue of runs without `spec.queue`.  [default: the app's]",
    "KELERY_BROKER_KEY_PREFIX": "The `global_keyprefix` of the broker options.  [default: the app's]",
}


@click.command(cls=Command, environment=_ENVIRONMENT)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Port of the REST gateway on 127.0.0.1; it needs no token.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".kelery"),
    show_default=True,
    help="Folder for all data that survives a restart.",
)
@click.option(
    "--app",
    metavar="MODULE[:NAME]",
    default=DEMO_APP,
    show_default=True,
    help="The Celery app of the worker: module or module:name, such as proj or proj.celery:app.",
)
@click.option(
    "-Q",
    "--queues",
    metavar="NAMES",
    help="Celery queues of the worker, separated by commas.  [default: the app's queues]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="Number of tasks that the worker executes at once.",
)
@click.option(
    "--reload", is_flag=True, help="Restart the worker when its code changes; running tasks have 10 s to end."
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this cluster instead of a local control plane. Only the CRD is applied to it. No other Kelery"
    " operator may watch it, else each run executes twice.",
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
    """Run Kelery on this machine until Ctrl-C: Valkey, API server, worker, operator and gateway.

    Worker, operator and gateway also read their own variables: see `kelery worker --help`, `kelery operator
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
    # Before the event loop: building a control plane takes minutes, and Ctrl-C must stop it.
    stack.prepare()
    asyncio.run(Foreground(stack).run())
