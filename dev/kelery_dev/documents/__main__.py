"""`python -m kelery_dev.documents` writes the generated parts of the documents.

`--check` writes nothing. It exits with 1 if a document is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kelery_dev.documents import reasons, taskrun_fields, values
from kelery_dev.documents.parts import with_parts

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
Generated = Mapping[Path, Callable[[], Mapping[str, str]]]
#: Document -> the function that makes its parts.
GENERATED: Generated = {
    REFERENCE / "phases-and-reasons.md": reasons.parts,
    REFERENCE / "taskrun.md": taskrun_fields.parts,
    REFERENCE / "values.md": values.parts,
    values.CHART / "README.md": values.parts,
}


def main(arguments: Sequence[str], *, generated: Generated = GENERATED) -> int:
    """The exit status: 1 if a document cannot be written, or with `--check` if it is out of date."""
    outdated = []
    for document, parts in generated.items():
        old = document.read_text()
        try:
            new = with_parts(old, parts=parts())
        except ValueError as error:
            print(f"{document}: {error}", file=sys.stderr)
            return 1
        if new != old and "--check" in arguments:
            outdated.append(document)
        elif new != old:
            document.write_text(new)
    for document in outdated:
        print(f"{document} is out of date; run: python -m kelery_dev.documents", file=sys.stderr)
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
