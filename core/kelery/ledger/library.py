"""The Lua library as text, joined from its parts, and its revision. `client` loads it into Redis.

Invariant: the parts are one chunk and one FUNCTION LOAD. A part sees only the local names of the parts before
it.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"
#: The files of the folder, in the order of joining.
PARTS = (
    "keys.lua",
    "record.lua",
    "message.lua",
    "listing.lua",
    "admission.lua",
    "cancel.lua",
    "submit.lua",
    "claim.lua",
    "outcome.lua",
    "timers.lua",
    "view.lua",
    "workers.lua",
    "functions.lua",
)
SHEBANG = "#!lua name=kelery_v1\n"
SOURCE = SHEBANG + "".join((FOLDER / part).read_text(encoding="utf-8") for part in PARTS)

_found = re.search(r"^local REVISION = (\d+)$", SOURCE, re.MULTILINE)
assert _found is not None
#: Every change of the library raises it. A lower revision never replaces a higher one.
REVISION = int(_found.group(1))

#: Guards against two processes that load different revisions at the same moment.
GUARD_KEY = "kelery_v1:library"
