"""`python -m kelery_dev.prepare`: have the programs ready that the tests should not have to wait for.

`make test` runs this first: a build of some minutes inside a test would look like a test that hangs.
"""

import sys

from kelery_dev.chart.helm_program import find_helm
from kelery_dev.control_plane.sources import announce_line, find_control_plane
from kelery_dev.errors import DevError
from kelery_dev.stack.valkey import server_binary


def main() -> int:
    """Find or make the programs of the stack; say where they are."""
    try:
        valkey, plane, helm = server_binary(), find_control_plane(), find_helm()
    except DevError as error:
        print(f"kelery: {error}", file=sys.stderr)
        return 1
    announce_line(f"control plane: {plane.folder}")
    announce_line(f"valkey: {valkey}")
    announce_line(f"helm: {helm}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
