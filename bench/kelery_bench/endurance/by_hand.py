"""The command line of endurance tests: `python -m kelery_bench.endurance.<name> [--runs N]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol, TypeVar

from kelery.errors import KeleryError


class Judged(Protocol):
    """The findings of a test."""

    @property
    def is_good(self) -> bool: ...


Found = TypeVar("Found", bound=Judged)


def run_by_hand(
    name: str,
    trial: Callable[[int], Found],
    *,
    table: Callable[[Found], str],
    asks: str,
    runs: int,
    runs_are: str,
) -> NoReturn:
    """Run the test with `--runs` runs and print its table; exits with 0 if the findings are good, else 1."""
    parser = argparse.ArgumentParser(prog=f"python -m kelery_bench.endurance.{name}", description=asks)
    parser.add_argument("--runs", type=int, default=runs, help=f"{runs_are} (%(default)s)")
    try:
        found = trial(parser.parse_args().runs)
    except KeleryError as error:
        sys.exit(str(error))
    print(table(found))
    sys.exit(0 if found.is_good else 1)
