"""`kelery dev` as a process, from its first line to a clean end."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kelery_dev.supervise.ports import free_port
from tests.support.polling import poll_until


@contextmanager
def running_stack(command: Sequence[str], *, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run the stack in `folder`, on a free port. At the end Ctrl-C must stop it within 15 seconds."""
    log = folder / "kelery-dev.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(free_port())],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        poll_until(
            lambda: "the stack is up" in log.read_text() or process.poll() is not None,
            seconds=90,
            what="the stack",
            state=log.read_text,
        )
        assert process.poll() is None, log.read_text()
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
