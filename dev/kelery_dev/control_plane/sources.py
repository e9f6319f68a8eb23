"""The sources of the control plane, in order: KUBEBUILDER_ASSETS, the cache, the envtest archive, a build
with Go.

(`--kubeconfig` precedes all of them and needs no programs.) A folder that the user has named is used or
refused, never skipped.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kelery_dev.control_plane import envtest_archive, go_build
from kelery_dev.control_plane.binaries import Binaries, verified
from kelery_dev.control_plane.cache import Announce, CacheEntry, cache_entry
from kelery_dev.errors import DevError

# A source fills a folder with the three programs or raises DevError.
Source = Callable[..., object]
SOURCES: Mapping[str, Source] = {
    "download": envtest_archive.fetch_into,
    "build with Go": go_build.build_into,
}
#: The environment variables, for the help of commands.
VARIABLES: Mapping[str, str] = {
    "KUBEBUILDER_ASSETS": "A folder with kube-apiserver, etcd and kubectl.  [default: one in the cache]",
    "KELERY_CACHE_DIR": "The cache of downloaded and built programs."
    "  [default: kelery in XDG_CACHE_HOME, else ~/.cache/kelery]",
    "KELERY_ENVTEST_URL": "A mirror of kubebuilder's envtest archive, or `off` for no download.",
}


def announce_line(line: str) -> None:
    """Print at once: the user watches these lines for minutes."""
    print(line, flush=True)


def find_control_plane(
    *,
    environment: Mapping[str, str] = os.environ,
    announce: Announce = announce_line,
    sources: Mapping[str, Source] = SOURCES,
) -> Binaries:
    """The programs of a control plane from the first source that has them."""
    named = environment.get("KUBEBUILDER_ASSETS")
    if named:
        return _named_folder(Path(named).expanduser())
    entry = cache_entry(environment)
    found = entry.find(announce=announce)
    if found:
        return found
    with entry.locked(announce=announce):
        # Another process may have filled it while it held the lock.
        return entry.find(announce=announce) or _make(
            entry, environment=environment, announce=announce, sources=sources
        )


def _named_folder(folder: Path) -> Binaries:
    try:
        return verified(folder.resolve())
    except DevError as error:
        raise DevError(
            f"cannot use KUBEBUILDER_ASSETS: {error}."
            " Set it to a folder with kube-apiserver, etcd and kubectl, or unset it."
        ) from error


def _make(
    entry: CacheEntry, *, environment: Mapping[str, str], announce: Announce, sources: Mapping[str, Source]
) -> Binaries:
    """Fill the cache from the first source that can."""
    failures: dict[str, str] = {}
    for name, fill in sources.items():
        with entry.staging() as staged:
            try:
                fill(staged, environment=environment, announce=announce)
                return entry.adopt(staged)
            except DevError as error:
                failures[name] = str(error)
                announce(f"control plane: {name} failed: {error}")
            except KeyboardInterrupt:
                announce(f"control plane: {name} interrupted; partial files are removed")
                raise
    raise DevError(_nothing_left(entry, failures=failures))


def _nothing_left(entry: CacheEntry, *, failures: Mapping[str, str]) -> str:
    """The message with all sources and why each of them failed."""
    hints = {
        "download": "set KELERY_ENVTEST_URL to use a mirror",
        "build with Go": "needs Go and access to a module proxy",
    }
    lines = [
        "found no control plane. One of these is enough:",
        "  --kubeconfig FILE: not given (kelery dev then uses that cluster)",
        "  KUBEBUILDER_ASSETS: not set (a folder with kube-apiserver, etcd and kubectl)",
        f"  cache: {entry.folder} does not exist (set KELERY_CACHE_DIR for another cache)",
    ]
    for name, why in failures.items():
        hint = f" ({hints[name]})" if name in hints else ""
        lines.append(f"  {name}: {why}{hint}")
    return "\n".join(lines)
