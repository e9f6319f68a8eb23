"""Checks that a release has one version everywhere, and prints its notes.

    python3 .ci/release.py v0.1.0

Run it in the root of the repository. It needs only Python's standard library.
"""

import re
import sys
import tomllib
from pathlib import Path


def main(tag: str) -> None:
    version = tag.removeprefix("v")
    chart = Path("charts/kelery/Chart.yaml").read_text()
    named = {
        "the tag": version if tag.startswith("v") else f"{tag} (must begin with v)",
        "pyproject.toml": tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"],
        "version in Chart.yaml": _value(chart, "version"),
        "appVersion in Chart.yaml": _value(chart, "appVersion"),
    }
    if set(named.values()) != {version}:
        sys.exit("These must be one version:\n" + "\n".join(f"  {name}: {at}" for name, at in named.items()))
    changelog = Path("CHANGELOG.md").read_text()
    if _section(changelog, r"\[Unreleased\]"):
        sys.exit("CHANGELOG.md: move the entries of '## [Unreleased]' into the section of the version.")
    # The date marks a section as finished.
    notes = _section(changelog, rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}")
    if not notes:
        sys.exit(f"CHANGELOG.md needs a section '## [{version}] - YYYY-MM-DD' with at least one entry.")
    sys.stdout.write(f"{notes}\n")


def _value(chart: str, field: str) -> str:
    found = re.search(rf'^{field}: "?([^"\s]+)"?$', chart, re.M)
    return found[1] if found else "missing"


def _section(changelog: str, heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |^\[[^]]+\]: |\Z)", changelog, re.M | re.S)
    return found[1].strip() if found else ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 .ci/release.py TAG")
    main(sys.argv[1])
