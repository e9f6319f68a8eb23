"""`python -m kelery_operator` is the same as `kelery operator`."""

from __future__ import annotations

import sys

from kelery.errors import KeleryError
from kelery_operator.cli import operator

if __name__ == "__main__":
    try:
        operator()
    except KeleryError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
