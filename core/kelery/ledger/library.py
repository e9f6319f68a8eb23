"""The Lua library as text, and its revision; loaded into Redis by `sync` and `aio`."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = (Path(__file__).parent / "lua" / "functions.lua").read_text(encoding="utf-8")

_found = re.search(r"^local REVISION = (\d+)$", SOURCE, re.MULTILINE)
assert _found is not None
#: Grows with every change of the library; a lower one never replaces a higher.
REVISION = int(_found.group(1))

#: Guards the loading against another process that loads another revision at the same moment.
GUARD_KEY = "kelery_v1:library"
