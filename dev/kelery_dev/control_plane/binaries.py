"""The three programs of a control plane in one folder, and their check.

A set is usable only after every program has run and printed its version, so an incomplete download never is.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kelery_dev.errors import DevError

PROGRAMS = ("kube-apiserver", "etcd", "kubectl")
# selectableFields and the admission policies that Kelery ships are stable from this release on.
OLDEST_KUBERNETES = (1, 32)
OLDEST_ETCD = (3, 5)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_VERSION_ARGUMENTS = {
    "kube-apiserver": ("--version",),
    "etcd": ("--version",),
    "kubectl": ("version", "--client"),
}
_VERSION_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The programs of a control plane."""

    folder: Path

    @property
    def kube_apiserver(self) -> Path:
        return self.folder / "kube-apiserver"

    @property
    def etcd(self) -> Path:
        return self.folder / "etcd"

    @property
    def kubectl(self) -> Path:
        """The kubectl of the set, else the one in PATH: KUBEBUILDER_ASSETS may not contain it."""
        own = self.folder / "kubectl"
        return own if own.exists() else Path(shutil.which("kubectl") or own)


def version_of(program: Path, *, kind: str) -> tuple[int, int, int]:
    """The version that the program prints; DevError if it does not run."""
    try:
        done = subprocess.run(
            [program, *_VERSION_ARGUMENTS[kind]],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevError(f"{program} does not run: {error}") from error
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or not found:
        raise DevError(f"{program} does not print its version (exit code {done.returncode})")
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def verified(folder: Path) -> Binaries:
    """The set in a folder, after each program has run; DevError names a missing or broken program."""
    binaries = Binaries(folder=folder)
    for program in PROGRAMS:
        path = binaries.kubectl if program == "kubectl" else folder / program
        if not path.is_file():
            raise DevError(f"{folder} has no {program}")
        version = version_of(path, kind=program)
        oldest = OLDEST_ETCD if program == "etcd" else OLDEST_KUBERNETES
        if version[:2] < oldest and program != "kubectl":
            raise DevError(f"{path} is {_dotted(version)}; Kelery needs {_dotted(oldest)} or newer")
    return binaries


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
