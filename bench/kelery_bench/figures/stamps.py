"""The start and end times of tasks, by the clock that all processes of a machine share.

A line in a file costs microseconds; a call to a server would be part of what is measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Nanoseconds of `time.monotonic_ns`."""

    label: str
    began: int
    ended: int


def write_stamp(file: str, stamp: Stamp) -> None:
    """Append a stamp in one write, so that lines of several processes do not mix."""
    line = f"{stamp.began} {stamp.ended} {stamp.label}\n".encode()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read_stamps(file: Path) -> list[Stamp]:
    """All stamps, ordered by start; empty if the file does not exist."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    found = (line.split(" ", 2) for line in lines)
    stamps = [Stamp(label=label, began=int(began), ended=int(ended)) for began, ended, label in found]
    return sorted(stamps, key=lambda stamp: stamp.began)
