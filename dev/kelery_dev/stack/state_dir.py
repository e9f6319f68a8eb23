"""The state directory of `kelery dev`: its lock, and the files in it for the user.

One process at a time holds the lock. The kernel releases it when that process ends, for whatever reason.
"""

import fcntl
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from kelery_dev.errors import DevError


class StateDir:
    """An opened and locked state directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DevError(
                f"cannot use the state directory {self.folder} ({error.strerror}):"
                " choose another with --state-dir"
            ) from error
        self._lock = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._lock.read().strip()
            self._lock.close()
            raise DevError(
                f"another kelery dev (process {holder or 'unknown'}) uses {self.folder};"
                " stop it or choose another --state-dir"
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        # It contains keys and data, and is often inside a repository.
        (self.folder / ".gitignore").write_text("*\n")

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def write_env(self, *, variables: Mapping[str, str], path_folder: Path | None) -> Path:
        """Write `env` for a shell to source; `path_folder` goes to the front of PATH."""
        file = self.folder / "env"
        file.write_text(env_file(variables=variables, path_folder=path_folder))
        return file

    def release(self) -> None:
        """Release the lock."""
        self._lock.close()


def env_file(*, variables: Mapping[str, str], path_folder: Path | None) -> str:
    """The lines of a file that any POSIX shell can source; values are quoted."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    if path_folder:
        lines.append(f'export PATH={shlex.quote(str(path_folder))}:"$PATH"')
    return "\n".join(lines) + "\n"
