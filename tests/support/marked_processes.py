"""Finds all processes of a test, also detached ones, by a mark in their environment or by their folder."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

_MARK = "KELERY_TEST_MARK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Every process with the mark or in the folder. Valkey has no mark: it overwrites its environment."""

    mark: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment to start a marked program with."""
        return {**os.environ, _MARK: self.mark}

    def processes(self) -> list[psutil.Process]:
        """The marked processes that are alive now, without this one."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(_MARK) == self.mark
                inside = Path(process.cwd()).is_relative_to(self.folder)
            except (psutil.Error, OSError):
                continue
            if (marked or inside) and process.pid != os.getpid():
                found.append(process)
        return found

    def names(self) -> list[str]:
        """The names of these processes, for messages."""
        names = []
        for process in self.processes():
            try:
                names.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
            except psutil.Error:
                continue
        return names


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Marked]:
    """A new mark. Afterwards, every process that still has it is killed."""
    found = Marked(mark=uuid.uuid4().hex, folder=tmp_path.resolve())
    monkeypatch.setenv(_MARK, found.mark)
    yield found
    for process in found.processes():
        process.kill()
