"""`python -m kelery_dev.documents` writes the generated parts of the documents.

`--check` writes nothing. It exits with 1 if a document is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kelery_dev.documents import reasons, taskrun_fields
from kelery_dev.documents.parts import with_parts

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
#: File -> what makes its parts.
GENERATED = {"phases-and-reasons.md": reasons.parts, "taskrun.md": taskrun_fields.parts}


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    stale = []
    for name, parts in GENERATED.items():
        document = REFERENCE / name
        old = document.read_text()
        try:
            new = with_parts(old, parts=parts())
        except ValueError as error:
            print(f"{document}: {error}", file=sys.stderr)
            return 1
        if new != old and "--check" in arguments:
            stale.append(document)
        elif new != old:
            document.write_text(new)
    for document in stale:
        print(f"{document} is stale; write it with: python -m kelery_dev.documents", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
