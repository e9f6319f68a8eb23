"""The cache of control-plane programs: one folder per platform, filled once, by one process at a time.

An entry appears through a rename, after all its programs have run, so it is complete or absent.
"""

import contextlib
import fcntl
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from kelery_dev.control_plane.binaries import Binaries, verified
from kelery_dev.errors import DevError

# The minor release of Kubernetes of a download, which gobuild/go.mod pins too.
KUBERNETES_MINOR = (1, 36)
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LOCK_POLL_SECONDS = 0.2
_WAIT_NOTICE_SECONDS = 10.0

Announce = Callable[[str], None]


def platform_name() -> str:
    """This machine's platform in Go's notation, such as `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_MACHINES.get(machine, machine)}"


def cache_home(environment: Mapping[str, str]) -> Path:
    """KELERY_CACHE_DIR, else `kelery` in the user's cache directory."""
    chosen = environment.get("KELERY_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kelery"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """The folder of the cache for this machine."""

    home: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.home / self.name

    def find(self, *, announce: Announce) -> Binaries | None:
        """The programs in the cache; None if the entry is missing or damaged."""
        if not self.folder.is_dir():
            return None
        try:
            return verified(self.folder)
        except DevError as error:
            announce(f"control plane: replacing a damaged cache entry ({error})")
            return None

    @contextlib.contextmanager
    def locked(self, *, announce: Announce) -> Iterator[None]:
        """Hold the entry's lock; report if another process holds it."""
        self._make_home()
        with (self.home / f"{self.name}.lock").open("w") as lock:
            started = time.monotonic()
            noticed = started - _WAIT_NOTICE_SECONDS
            while not _try_lock(lock.fileno()):
                now = time.monotonic()
                if now - noticed >= _WAIT_NOTICE_SECONDS:
                    noticed = now
                    announce(
                        f"control plane: waiting for another process that fills {self.folder}"
                        f" ({now - started:.0f} s)"
                    )
                time.sleep(_LOCK_POLL_SECONDS)
            yield

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A temporary folder next to the entry; call with the lock held."""
        # A process that left one is dead: this process holds the lock.
        for left in self.home.glob(f".{self.name}.staging-*"):
            rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{self.name}.staging-", dir=self.home))
        try:
            yield folder
        finally:
            rmtree(folder, ignore_errors=True)

    def adopt(self, staged: Path) -> Binaries:
        """Verify a staged folder and rename it to the entry."""
        verified(staged)
        staged.chmod(0o755)
        rmtree(self.folder, ignore_errors=True)
        staged.rename(self.folder)
        return Binaries(folder=self.folder)

    def _make_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DevError(
                f"cannot create the cache directory {self.home} ({error.strerror}):"
                " set KELERY_CACHE_DIR to another directory"
            ) from error


def cache_entry(environment: Mapping[str, str]) -> CacheEntry:
    """The entry for this machine and this release."""
    release = ".".join(str(part) for part in KUBERNETES_MINOR)
    home = cache_home(environment) / "control-plane"
    return CacheEntry(home=home, name=f"kubernetes-{release}-{platform_name()}")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, InterruptedError):
        return False
    # The content of the lock file shows which process holds it.
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return True
