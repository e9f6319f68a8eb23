"""The smallest environment that a user's image may have: Python, Celery, redis-py and their requirements."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

REFUSING = '''
import importlib.abc, pathlib, sys

class Refuse(importlib.abc.MetaPathFinder):
    """Lets nothing in but the standard library and what was allowed."""
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names or top.startswith("_"):
            return None
        raise ModuleNotFoundError(f"refused here: {name}", name=name)

ALLOWED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Refuse())
'''


def import_refusing_the_rest(
    *modules: str, then: str = "", path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Import the modules in a new process, from `path` first, then execute `then`."""
    code = REFUSING + "".join(f"import {module}\n" for module in modules) + then
    allowed = ",".join(sorted(_modules_of_celery_and_redis() | {"kelery", "kelery_worker"}))
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(
        [sys.executable, "-c", code, allowed], cwd=path, env=environment, capture_output=True, text=True
    )


def _modules_of_celery_and_redis() -> set[str]:
    """The top-level modules of both and of all their requirements, from the distributions' metadata."""
    wanted, distributions = ["celery", "redis"], set[str]()
    while wanted:
        name = wanted.pop()
        try:
            requirements = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            # A requirement for another Python version or operating system.
            continue
        if name not in distributions:
            distributions.add(name)
            plain = [text for text in requirements if "extra ==" not in text]
            wanted += [_normal(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]) for text in plain]
    modules = metadata.packages_distributions()
    return {
        module for module, owners in modules.items() if distributions & {_normal(name) for name in owners}
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
