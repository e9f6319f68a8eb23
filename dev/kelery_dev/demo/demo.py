"""`make demo`: the whole stack, every example applied to it and what becomes of each, then runs over HTTP;
then nothing is left.

It reads how each run is to end from the examples themselves, and fails with a sentence that names the runs
that ended otherwise. Bounded in time: an example that hangs is given up.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kelery_dev.demo.examples import Example, load_examples
from kelery_dev.demo.http import HttpDoor
from kelery_dev.demo.http_demo import HttpDemo
from kelery_dev.demo.kubectl import Kubectl
from kelery_dev.demo.play import Demo
from kelery_dev.demo.screen import Screen
from kelery_dev.errors import DevError
from kelery_dev.stack.stack import Stack, StackOptions

EXAMPLES = Path(__file__).parents[3] / "examples"
#: What is sent through both APIs after them.
BOTH_APIS = EXAMPLES / "both-apis"
_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def _play_on_stack(
    stack: Stack, examples: Sequence[Example], *, both_apis: Path | None, screen: Screen, folder: Path
) -> list[str]:
    """Bring the stack up, play, and take it down; interrupted by a signal, it is taken down all the same."""
    loop, playing = asyncio.get_running_loop(), asyncio.current_task()
    assert playing is not None

    def interrupt() -> None:
        if playing.cancelling():
            screen.say("still stopping ...")
            return
        screen.say("stopping ...")
        playing.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)
    async with stack:
        program = stack.kubectl
        if program is None:
            raise DevError("the control plane has no kubectl")
        kubectl = Kubectl(program, kubeconfig=stack.kubeconfig, cache=folder / "kubectl-cache")
        problems = await Demo(examples, kubectl=kubectl, screen=screen).run()
        if both_apis:
            async with HttpDoor(stack.url) as http:
                problems += await HttpDemo(http=http, kubectl=kubectl, screen=screen, folder=both_apis).run()
        screen.heading("Stopping the stack")
    return problems


def play(paths: Sequence[Path], *, screen: Screen) -> int:
    """The whole demo, or of examples of one's own what kubectl does with them; its exit status."""
    examples, both_apis = load_examples(paths or [EXAMPLES]), None if paths else BOTH_APIS
    folder = Path(tempfile.mkdtemp(prefix="kelery-demo-"))
    keep = False
    # What a killed process leaves in its temporary folder goes with ours.
    os.environ["TMPDIR"] = str(folder)
    try:
        screen.heading("Starting the stack")
        stack = Stack(StackOptions(state_dir=folder / "state", port=0), console=screen)
        # Before the event loop: building a control plane takes minutes, and Ctrl-C must end it.
        stack.prepare()
        problems = asyncio.run(
            _play_on_stack(stack, examples, both_apis=both_apis, screen=screen, folder=folder)
        )
        keep = bool(problems)
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.plain("interrupted; nothing is left running")
        return _INTERRUPTED
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if problems:
        print(f"kelery: {'; '.join(problems)}.", file=sys.stderr)
        print(f"The logs are in {folder}/state/logs.", file=sys.stderr)
        return 1
    _show_next_steps(screen, count=sum(len(example.runs) for example in examples))
    return 0


def _show_next_steps(screen: Screen, *, count: int) -> None:
    screen.plain(f"  nothing is left running; all {count} runs ended as their examples say")
    screen.heading("Go on by hand")
    screen.plain("  .venv/bin/kelery dev                    keeps the same stack up, until Ctrl-C")
    screen.plain("  . .kelery/env                           in another terminal, while it is up")
    screen.plain("  kubectl apply -f examples/01-add.yaml")
    screen.plain("  kubectl get taskruns --watch")
    screen.plain("  curl $KELERY_URL/start")


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m kelery_dev.demo [FILE OR FOLDER ...]`."""
    parser = argparse.ArgumentParser(prog="python -m kelery_dev.demo", description="Play the examples.")
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        help="example files or folders (default: examples/, and both APIs)",
    )
    paths = parser.parse_args(arguments).paths
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    # kubectl, and Kelery's own services, must see the demo's cluster alone.
    os.environ.pop("KUBECONFIG", None)
    try:
        return play(paths, screen=Screen())
    except DevError as error:
        print(f"kelery: {error}", file=sys.stderr)
        return 1
