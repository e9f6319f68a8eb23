"""`python -m kelery_api` is the same as `kelery api`."""

from __future__ import annotations

import sys

from kelery.errors import KeleryError
from kelery_api.cli import api

if __name__ == "__main__":
    try:
        api()
    except KeleryError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
