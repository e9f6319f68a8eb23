"""A stack in the foreground of a terminal: shows how to use it, and runs until a signal stops it.

The first SIGINT, SIGTERM or SIGHUP stops the stack; a second one kills the rest at once.
"""

import asyncio
import os
import signal

from kelery_dev.stack.services import DRAIN_SECONDS
from kelery_dev.stack.stack import Stack
from kelery_dev.stack.start_task import VARIABLE, start_command, start_task

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Foreground:
    """Runs a prepared stack in the foreground."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._console = stack.console
        self._signalled = asyncio.Event()

    async def run(self) -> None:
        """Start the stack, show how to use it, wait for a signal, and stop it."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        signalled = asyncio.create_task(self._signalled.wait())
        staying = asyncio.create_task(self._stay())
        try:
            await asyncio.wait({signalled, staying}, return_when=asyncio.FIRST_COMPLETED)
            if staying.done():
                staying.result()
        finally:
            staying.cancel()
            signalled.cancel()
            await asyncio.gather(staying, signalled, return_exceptions=True)
            await self._stack.stop()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        self._console.say("stopped; nothing is left running")

    async def _stay(self) -> None:
        await self._stack.start()
        self._show_usage()
        await self._stack.failure()

    def _show_usage(self) -> None:
        env = self._stack.env_file
        self._console.say(f"the stack is up; in another terminal, type these lines, or: . {env}")
        for line in env.read_text().splitlines():
            self._console.plain(line)
        self._show_start()

    def _show_start(self) -> None:
        """Show a first command for the REST API, if the app has a task for it."""
        chosen = os.environ.get(VARIABLE, "").strip()
        task = None if chosen else start_task(self._stack.tasks)
        self._console.say(f"REST API: {self._stack.url}/docs")
        if chosen or task:
            name = task.name if task else chosen
            self._console.say(f"/start runs {name}; set {VARIABLE} for another task")
            self._console.plain(start_command(self._stack.url, task=task))

    def _on_signal(self) -> None:
        if self._signalled.is_set():
            self._console.say("killing the remaining processes")
            self._stack.kill()
            return
        self._signalled.set()
        self._console.say(
            f"stopping; runs get {DRAIN_SECONDS} s to end before they are killed;"
            " press Ctrl-C again to kill at once"
        )
