"""The documents whose commands the tests run, and how output is compared.

`kelery_dev.documents.blocks` describes the marks. Every document with a mark `run` is in `TYPED_IN_ORDER`.
"""

import re
from pathlib import Path

from kelery_dev.documents.blocks import ON_A_CLUSTER, marked_blocks

#: The checkout, where the documents are.
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

#: The tutorial. The other documents use its stack.
LAPTOP = DOCS / "tutorial" / "laptop.md"
#: These run in this order, in one shell on one stack.
TYPED_IN_ORDER = (
    LAPTOP,
    ROOT / "README.md",
    DOCS / "how-to" / "limit-concurrency.md",
    DOCS / "how-to" / "cancel-and-retry.md",
    DOCS / "how-to" / "report-progress.md",
    DOCS / "reference" / "kubectl.md",
    DOCS / "reference" / "rest-api.md",
)
#: Each of these starts on a cluster without Kelery.
TYPED_ON_A_CLUSTER = tuple(
    document for document in DOCUMENTS if any(block.mark == ON_A_CLUSTER for block in marked_blocks(document))
)

#: An age as kubectl shows it, such as 4s, 1m5s or 2m.
_AGE = r"(?:\d+[dhms])+"


def prints(expected: str, *, actual: str) -> bool:
    """Whether the output is as in the document. Spaces and ages may differ; `...` matches anything."""
    words = [".*".join(map(re.escape, word.split("..."))) for word in expected.split()]
    pattern = " ".join(_AGE if re.fullmatch(_AGE, word) else word for word in words)
    # `...` also matches an empty table cell.
    pattern = pattern.replace(" .* ", "(?: .*)? ")
    return re.fullmatch(pattern, " ".join(actual.split())) is not None
