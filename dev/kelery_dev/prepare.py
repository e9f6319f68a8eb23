"""`python -m kelery_dev.prepare`: downloads or builds the programs that the tests need.

`make test` runs this first, because a build of some minutes inside a test would look like a hanging test.
"""

import sys

from kelery_dev.chart.helm_program import find_helm
from kelery_dev.control_plane.sources import announce_line, find_control_plane
from kelery_dev.errors import DevError
from kelery_dev.stack.valkey import server_binary


def main() -> int:
    """Find or make the programs of the stack, and print their paths."""
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
