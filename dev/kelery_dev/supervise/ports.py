"""Free loopback ports, remembered in a state directory across restarts.

Ports are below the kernel's range for outgoing connections, so that no client takes a port while its server
is down. `free_port` never gives one port to two living processes, although nobody listens between its check
and the start of the server.
"""

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"
_RANGE = range(20000, 32000)
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server can listen on the port now (connections in TIME_WAIT do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            # Two bound sockets may share an address, but only one may listen.
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(*, taken: Sequence[int] = ()) -> int:
    """A free loopback port that is not in `taken`."""
    for _ in range(_TRIES):
        port = random.choice(_RANGE)
        if port not in taken and is_free(port) and _is_ours(port):
            return port
    raise OSError(f"no free port found between {_RANGE.start} and {_RANGE.stop}")


def _is_ours(port: int) -> bool:
    """Reserve the port for the life of this process; False if another process has it."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # An abstract socket: only one process of the machine can hold it, and it has no file.
        name.bind(f"\0kelery-port-{port}")
    except OSError:
        name.close()
        return False
    # The descriptor stays open until the process ends.
    name.detach()
    return True


def remembered_ports(file: Path, *, names: Sequence[str]) -> dict[str, int]:
    """One port per name: the last one if it is still free, else a new one; written to the file.

    Other names in the file keep their ports, so several programs may share one file.
    """
    earlier = _read(file)
    ports = {name: port for name, port in earlier.items() if name not in names}
    for name in names:
        port = earlier.get(name)
        taken = tuple(ports.values())
        ports[name] = port if port and port not in taken and is_free(port) else free_port(taken=taken)
    if ports != earlier:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(ports))
    return {name: ports[name] for name in names}


def _read(file: Path) -> dict[str, int]:
    """The remembered ports; empty if the file is missing or damaged."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: port for name, port in content.items() if isinstance(port, int) and 0 < port < 65536}
