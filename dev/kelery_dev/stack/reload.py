"""Detects changes of the worker's code, for `kelery dev --reload`.

The user's project is watched below the current directory, except hidden folders, virtual environments and the
state directory.
"""

import asyncio
import importlib.util
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import PythonFilter, awatch


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedFolder:
    """A folder; with its subfolders if `deep`."""

    path: Path
    deep: bool


def watched_folders(app: str, *, cwd: Path) -> list[WatchedFolder]:
    """The folders with the Python files of an app; the module is located, never imported."""
    top = app.partition(":")[0].partition(".")[0]
    if (cwd / top).is_dir() or (cwd / f"{top}.py").is_file():
        below = [WatchedFolder(path=path, deep=True) for path in sorted(cwd.iterdir()) if _holds_code(path)]
        return [WatchedFolder(path=cwd, deep=False), *below]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [WatchedFolder(path=Path(path), deep=True) for path in spec.submodule_search_locations]
    return [WatchedFolder(path=Path(spec.origin).parent, deep=False)] if spec.origin else []


def _holds_code(path: Path) -> bool:
    hidden = path.name.startswith((".", "__")) or path.name == "node_modules"
    return path.is_dir() and not hidden and not (path / "pyvenv.cfg").exists()


async def watch_code(folders: list[WatchedFolder]) -> AsyncGenerator[Path, None]:
    """One changed file per burst of changes, indefinitely."""
    changes: asyncio.Queue[Path] = asyncio.Queue()
    groups = [[folder.path for folder in folders if folder.deep is deep] for deep in (True, False)]
    watchers = [
        asyncio.create_task(_watch(paths, deep=deep, changes=changes))
        for paths, deep in zip(groups, (True, False), strict=True)
        if paths
    ]
    try:
        while watchers:
            yield await changes.get()
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


async def _watch(paths: list[Path], *, deep: bool, changes: "asyncio.Queue[Path]") -> None:
    async for burst in awatch(*paths, watch_filter=PythonFilter(), recursive=deep):
        await changes.put(Path(min(path for _, path in burst)))
