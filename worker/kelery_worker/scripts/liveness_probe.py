"""A script for liveness probes: is the worker's heartbeat recent?

usage: python -I -S liveness_probe.py <file> <seconds>

Exits with 0 if the heartbeat is at most <seconds> old, else with 1 and the cause. Imports neither Celery nor
this package, so it costs no more than a start of Python. The file holds the monotonic clock in nanoseconds,
which all processes of a node share. So a corrected wall clock never makes a worker look dead.
"""

from __future__ import annotations

import sys
import time


def why_dead(file: str, seconds: float) -> str:
    """Why the worker counts as dead; empty if it is alive."""
    try:
        with open(file, encoding="ascii") as liveness_file:
            beat = int(liveness_file.read()) / 1e9
    except OSError as error:
        return f"no heartbeat: {file}: {error.strerror}"
    except ValueError:
        return f"no heartbeat yet in {file}"
    age = time.monotonic() - beat
    if 0 <= age <= seconds:
        return ""
    # A time in the future was written before the node was restarted.
    return f"the last heartbeat is {age:.0f} s old" if age >= 0 else "the heartbeat is from an earlier boot"


def main(words: list[str]) -> int:
    """The exit status."""
    try:
        file, seconds = words[0], float(words[1])
    except (IndexError, ValueError):
        sys.stderr.write("usage: liveness_probe.py <file> <seconds>\n")
        return 2
    problem = why_dead(file, seconds)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
