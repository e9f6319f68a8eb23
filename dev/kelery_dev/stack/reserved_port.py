"""The gateway's port, reserved for one stack from before its start until after its end.

The gateway binds the port itself, so nobody listens before its start and during a restart. Two things reserve
the port meanwhile: an abstract socket name, which only one stack on this machine can hold, and a socket that
is bound but does not listen, which keeps out programs that ask for any free port. Both end with this process.
"""

import contextlib
import socket

from kelery_dev.errors import DevError
from kelery_dev.supervise.ports import LOOPBACK, free_port


class ReservedPort:
    """A loopback port that no other stack gets; 0 means any free port."""

    def __init__(self, port: int) -> None:
        self.number = port or free_port()
        self._held = contextlib.ExitStack()
        try:
            self._take_name()
            self._bind()
        except OSError as error:
            self._held.close()
            raise DevError(
                f"port {self.number} is in use ({error.strerror}); the REST gateway needs it:"
                " choose another with --port"
            ) from error

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.number}"

    def release(self) -> None:
        """Release the port for another stack."""
        self._held.close()

    def _take_name(self) -> None:
        """Bind an abstract socket: it has no file and ends with this process."""
        name = self._held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        name.bind(f"\0kelery-dev-port-{self.number}")

    def _bind(self) -> None:
        bound = self._held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        # So the gateway can listen next to this socket, and connections of an earlier stack do not count.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, self.number))
