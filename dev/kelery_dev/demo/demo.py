"""`make demo`: starts the whole stack, applies every example, sends runs over HTTP, and stops everything.

The examples state how each run ends. The demo fails with a message that names the runs that ended otherwise.
Its time is bounded: it does not wait for an example that hangs.
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
#: The manifests and bodies for both APIs, used after the examples.
BOTH_APIS = EXAMPLES / "both-apis"
_INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def _play_on_stack(
    stack: Stack, examples: Sequence[Example], *, both_apis: Path | None, screen: Screen, folder: Path
) -> list[str]:
    """Start the stack, play the demo and stop the stack, also after a signal."""
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
    """Play the whole demo, or only the given examples with kubectl; returns the exit status."""
    examples, both_apis = load_examples(paths or [EXAMPLES]), None if paths else BOTH_APIS
    folder = Path(tempfile.mkdtemp(prefix="kelery-demo-"))
    keep = False
    # Temporary files of killed processes are removed with this folder.
    os.environ["TMPDIR"] = str(folder)
    try:
        screen.heading("Starting the stack")
        stack = Stack(StackOptions(state_dir=folder / "state", port=0), console=screen)
        # Before the event loop: building a control plane takes minutes, and Ctrl-C must stop it.
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
    screen.plain(f"  nothing is left running; all {count} runs ended as expected")
    screen.heading("Next steps")
    screen.plain("  .venv/bin/kelery dev                    run the same stack until Ctrl-C")
    screen.plain("  . .kelery/env                           in another terminal")
    screen.plain("  kubectl apply -f examples/01-add.yaml")
    screen.plain("  kubectl get taskruns --watch")
    screen.plain("  curl $KELERY_URL/start")


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m kelery_dev.demo [FILE OR FOLDER ...]`."""
    parser = argparse.ArgumentParser(
        prog="python -m kelery_dev.demo", description="Run the examples on a local stack."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        help="example files or folders (default: examples/, then runs over HTTP)",
    )
    paths = parser.parse_args(arguments).paths
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    # kubectl and Kelery's services must use the demo's cluster only.
    os.environ.pop("KUBECONFIG", None)
    try:
        return play(paths, screen=Screen())
    except DevError as error:
        print(f"kelery: {error}", file=sys.stderr)
        return 1
