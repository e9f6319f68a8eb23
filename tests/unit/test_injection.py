"""`kelery-inject`: the copy is whole, works beside nothing but Celery and redis, and any user can read it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kelery import injection
from kelery.ledger import library
from tests.support.bare_environment import import_refusing_the_rest

ROOT = Path(__file__).parents[2]
PLUG_IN = ROOT / "worker" / "kelery_worker"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    target = tmp_path / "new" / "inject"
    injection.main([str(target)])
    return target


def _modules(tree: Path) -> list[str]:
    found = (path.relative_to(tree).with_suffix("") for path in tree.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in found)


def test_the_plug_in_is_copied_whole(tree: Path) -> None:
    copied = {path.relative_to(tree / "kelery_worker") for path in (tree / "kelery_worker").rglob("*.py")}
    assert copied == {path.relative_to(PLUG_IN) for path in PLUG_IN.rglob("*.py")} - {Path("cli.py")}
    assert Path("celery_hooks/start_gate.py") in copied
    for path in copied:
        assert (tree / "kelery_worker" / path).read_bytes() == (PLUG_IN / path).read_bytes()
    assert {path.name for path in (tree / "kelery" / "ledger" / "lua").iterdir()} == set(library.PARTS)


def test_what_needs_the_distribution_or_more_libraries_stays_behind(tree: Path) -> None:
    modules = set(_modules(tree))
    assert {"kelery", "kelery.settings", "kelery.ledger.sync_client", "kelery_worker.plugin"} <= modules
    assert not {"kelery.cli", "kelery.injection", "kelery_worker.cli"} & modules
    folders = {path.name for path in (tree / "kelery").iterdir() if path.is_dir()}
    assert folders == {"ledger", "run"}
    assert {path.name for path in tree.iterdir()} == set(injection.PACKAGES)
    assert {path.suffix for path in tree.rglob("*") if path.is_file()} == {".py", ".lua"}


def test_every_module_of_the_copy_imports_beside_celery_and_redis_alone(tree: Path) -> None:
    modules = _modules(tree)
    files = "{m.__file__ for name, m in sys.modules.items() if name.partition('.')[0].startswith('kelery')}"
    ran = import_refusing_the_rest(*modules, then=f"print(*{files}, sep='\\n')", path=tree)
    assert ran.returncode == 0, ran.stderr
    imported = [Path(line) for line in ran.stdout.split()]
    assert len(imported) == len(modules)
    assert [file for file in imported if not file.is_relative_to(tree)] == []


def test_any_user_can_read_it_whatever_the_umask(tmp_path: Path) -> None:
    target = tmp_path / "inject"
    target.mkdir(mode=0o755)
    command = [sys.executable, "-m", "kelery.injection", str(target)]
    subprocess.run(["sh", "-c", 'umask 077; exec "$@"', "sh", *command], check=True, capture_output=True)
    copied = list(target.rglob("*"))
    assert copied
    assert {stat.S_IMODE(path.stat().st_mode) for path in copied} == {0o644, 0o755}


def test_a_second_copy_takes_the_place_of_an_older_one_and_leaves_the_rest(tree: Path) -> None:
    stale, other = tree / "kelery" / "of_another_version.py", tree / "users.txt"
    stale.write_text("")
    other.write_text("mine")
    injection.main([str(tree)])
    assert not stale.exists()
    assert other.read_text() == "mine"
    assert (tree / "kelery_worker" / "plugin.py").exists()


def test_it_never_replaces_what_it_copies_from(tmp_path: Path) -> None:
    for package in injection.PACKAGES:
        shutil.copytree(ROOT / ("core" if package == "kelery" else "worker") / package, tmp_path / package)
    ran = subprocess.run(
        [sys.executable, "-m", "kelery.injection", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "is where Kelery itself is installed" in ran.stderr
    assert (tmp_path / "kelery" / "cli.py").exists()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["a", "b"]])
def test_a_wrong_call_says_the_right_one(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage: kelery-inject DIRECTORY"):
        injection.main(arguments)


def test_a_target_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"cannot copy the plug-in to .*file"):
        injection.main([str(tmp_path / "file")])


def test_it_starts_without_celery() -> None:
    code = "import sys, kelery.injection; print('celery' in sys.modules, 'kelery_worker' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
