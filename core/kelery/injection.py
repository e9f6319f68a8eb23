"""`kelery-inject DIRECTORY`: copies the worker plug-in and the parts of the core that it uses, so that a
user's own image finds them through PYTHONPATH.

It runs before the worker in the other image starts, and imports neither Celery nor the plug-in. The copy is
pure Python and needs only celery and redis. All users can read it, because the other image has its own user.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

PACKAGES = ("kelery", "kelery_worker")
#: The only folders of the core to copy. The others need more libraries than celery and redis.
CORE_FOLDERS = ("ledger", "run")
#: These need the installed distribution, or serve only the operator and the gateway.
_LEFT_OUT = frozenset({"__main__.py", "address.py", "cli.py", "injection.py", "json_codec.py"})
_SUFFIXES = frozenset({".lua", ".py"})
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


def injected_files() -> Iterator[tuple[PurePosixPath, Path]]:
    """The files to copy, with their paths below the target; sorted, so that two copies are equal."""
    for package in PACKAGES:
        folder = _folder_of(package)
        for file in sorted(folder.rglob("*")):
            path = PurePosixPath(package, *file.relative_to(folder).parts)
            if file.suffix in _SUFFIXES and _is_injected(path):
                yield path, file


def inject(target: Path) -> int:
    """Copy into `target`, replacing an earlier copy; returns the number of files."""
    for package in PACKAGES:
        if target.joinpath(package).resolve() == _folder_of(package).resolve():
            raise FileExistsError(f"{target} is where Kelery itself is installed")
    target.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if target.joinpath(package).exists():
            shutil.rmtree(target / package)
        _make_folder(target / package)
    count = 0
    for path, file in injected_files():
        copy = target / path
        if not copy.parent.exists():
            _make_folder(copy.parent)
        shutil.copyfile(file, copy)
        copy.chmod(_FILE_MODE)
        count += 1
    return count


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0].startswith("-"):
        raise SystemExit("usage: kelery-inject DIRECTORY")
    target = Path(given[0])
    try:
        count = inject(target)
    except OSError as error:
        reason = error.strerror or error
        raise SystemExit(f"kelery-inject: cannot copy the plug-in to {target}: {reason}") from error
    sys.stdout.write(f"kelery-inject: {count} files in {target}\n")


def _folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise FileNotFoundError(f"{package} is not installed")
    return Path(found.origin).parent


def _is_injected(path: PurePosixPath) -> bool:
    package, first, *rest = path.parts
    if not rest:
        return first not in _LEFT_OUT
    return package != "kelery" or first in CORE_FOLDERS


def _make_folder(folder: Path) -> None:
    folder.mkdir()
    # Independent of the umask.
    folder.chmod(_FOLDER_MODE)


if __name__ == "__main__":
    main()
