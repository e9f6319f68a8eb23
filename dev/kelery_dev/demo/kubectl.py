"""kubectl for the demo: single commands, and a watch on TaskRuns as a stream of objects.

Every process that it starts dies with this process.
"""

import asyncio
import codecs
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from kelery_dev.errors import DevError
from kelery_dev.supervise import die_with_parent

_SECONDS = 20.0
_CHUNK = 65536


class Kubectl:
    """A kubectl for one cluster."""

    def __init__(self, program: Path, *, kubeconfig: Path, cache: Path) -> None:
        self._start = (str(program), f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}")

    async def run(self, *arguments: str) -> str:
        """The output of one command; DevError with its error output if it fails."""
        process = await self._spawn(*arguments)
        try:
            out, err = await asyncio.wait_for(process.communicate(), timeout=_SECONDS)
        except TimeoutError:
            raise DevError(f"kubectl {arguments[0]} did not end within {_SECONDS:g} s") from None
        finally:
            await _end(process)
        if process.returncode:
            raise DevError(f"kubectl {arguments[0]} failed: {err.decode(errors='replace').strip()}")
        return out.decode(errors="replace").strip()

    async def watch_taskruns(self) -> AsyncGenerator[Mapping[str, Any], None]:
        """Every TaskRun when it is added or changes; DevError if the watch breaks."""
        process = await self._spawn("get", "taskruns", "--watch", "--output-watch-events", "-o", "json")
        assert process.stdout is not None
        decoder, buffer = codecs.getincrementaldecoder("utf-8")(), ""
        try:
            while chunk := await process.stdout.read(_CHUNK):
                buffer += decoder.decode(chunk)
                events, buffer = split_events(buffer)
                for event in events:
                    if event.get("type") in ("ADDED", "MODIFIED"):
                        yield event["object"]
            raise DevError("the watch on TaskRuns broke")
        finally:
            await _end(process)

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *die_with_parent.wrap((*self._start, *arguments)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


def split_events(text: str) -> tuple[list[dict[str, Any]], str]:
    """The complete JSON objects at the start of a text, and the rest of the text."""
    found, decoder = [], json.JSONDecoder()
    text = text.lstrip()
    while text:
        try:
            event, end = decoder.raw_decode(text)
        except ValueError:
            break
        found.append(event)
        text = text[end:].lstrip()
    return found, text


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
