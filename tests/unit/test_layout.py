"""Where things lie and what they may import: what must hold for the packages to work where they are put.

The worker plug-in and the core are copied into users' own images, beside a Python and libraries of theirs.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from kelery.injection import injected_files
from tests.support.bare_environment import import_refusing_the_rest

ROOT = Path(__file__).parents[2]
PLAIN_FOLDERS = ("api", "bench", "core", "dev", "operator", "tests", "worker")
PACKAGES = ("api", "bench", "core", "dev", "operator", "worker")
#: What Celery itself needs is there wherever Celery is.
BESIDE_CELERY = {"billiard", "celery", "click", "kombu", "redis"}

INJECTED = [path for path, _ in injected_files() if path.suffix == ".py"]
INJECTED_MODULES = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in INJECTED}
FOLDERS = {"kelery": ROOT / "core", "kelery_worker": ROOT / "worker"}


@pytest.mark.parametrize("folder", PLAIN_FOLDERS)
def test_a_plain_folder_is_no_package(folder: str) -> None:
    # `operator/__init__.py` would take the place of the standard library's `operator`.
    assert not (ROOT / folder / "__init__.py").exists()


def test_the_standard_library_is_not_shadowed_from_the_checkout() -> None:
    code = "import operator, collections; print(operator.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not Path(ran.stdout.strip()).is_relative_to(ROOT / "operator")


@pytest.mark.parametrize("folder", ["core", "worker"])
def test_core_and_worker_keep_to_python_3_10(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        source = path.read_text()
        ast.parse(source, filename=str(path), feature_version=(3, 10))
        newer = {"tomllib", "StrEnum", "UTC", "ExceptionGroup", "Self", "TaskGroup", "assert_never"}
        assert not newer & set(_names(ast.parse(source))), path


@pytest.mark.parametrize("path", INJECTED, ids=str)
def test_what_is_injected_imports_only_what_is_there(path: PurePosixPath) -> None:
    imported = set(_imported(ast.parse((FOLDERS[path.parts[0]] / path).read_text())))
    ours = {name for name in imported if name.partition(".")[0] in FOLDERS}
    assert {name.partition(".")[0] for name in imported - ours} <= BESIDE_CELERY | sys.stdlib_module_names
    # A name that is no module is something inside one.
    assert {name for name in ours if not {name, name.rpartition(".")[0]} & INJECTED_MODULES} == set()


def test_nothing_else_of_ours_is_loaded_by_what_is_injected() -> None:
    assert {"kelery_worker", "kelery_worker.plugin", "kelery.ledger.sync_client"} <= INJECTED_MODULES
    ran = import_refusing_the_rest(
        *sorted(INJECTED_MODULES), then="print(sorted(m for m in sys.modules if m.startswith('kelery')))"
    )
    assert ran.returncode == 0, ran.stderr
    assert set(ast.literal_eval(ran.stdout)) == INJECTED_MODULES


def test_what_reaches_the_api_server_could_not_be_imported_there() -> None:
    ran = import_refusing_the_rest("kelery.kube.session")
    assert ran.returncode != 0
    assert "refused here: aiohttp" in ran.stderr


def test_the_plug_in_imports_with_nothing_but_celery_and_redis() -> None:
    ran = import_refusing_the_rest(
        "kelery_worker", "kelery.ledger.sync_client", "kelery.settings", "kelery.taskrun.submission"
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("module", ["pydantic", "kopf", "aiohttp", "yaml", "psutil", "pytest"])
def test_the_bare_environment_refuses_the_rest(module: str) -> None:
    ran = import_refusing_the_rest(module)
    assert ran.returncode != 0
    assert f"refused here: {module}" in ran.stderr


def test_every_package_of_the_wheel_is_typed() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {package.partition("/")[0] for package in wheel["packages"]} == set(PACKAGES)
    assert [name for name in wheel["packages"] if not (ROOT / name / "py.typed").is_file()] == []


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_module_is_longer_than_400_lines(folder: str) -> None:
    modules = list((ROOT / folder).rglob("*.py"))
    assert modules
    assert [str(path) for path in modules if len(path.read_text().splitlines()) > 400] == []


def _imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is named; of `from a import b`, which may be a module too, also `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield node.name.rpartition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
