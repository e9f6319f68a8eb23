"""The gateway's port, kept for one stack from before its start until after its end.

The gateway binds the port itself, so between this check and its start, and between two of its lives, nobody
listens there. Two things keep others away meanwhile: a name that only one process on this machine can have
stands for the port among stacks, and a socket that is bound but does not listen keeps it from programs that
ask for any free port. Both end with this process, however it ends.
"""

import contextlib
import socket

from kelery_dev.errors import DevError
from kelery_dev.supervise.ports import LOOPBACK, free_port


class ReservedPort:
    """A port of loopback that no other stack gets; 0 means any that is free."""

    def __init__(self, port: int) -> None:
        self.number = port or free_port()
        self._held = contextlib.ExitStack()
        try:
            self._take_name()
            self._bind()
        except OSError as error:
            self._held.close()
            raise DevError(
                f"port {self.number} is in use ({error.strerror}); kelery dev needs it for its REST gateway:"
                " choose another with --port"
            ) from error

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.number}"

    def release(self) -> None:
        """Let another stack have it."""
        self._held.close()

    def _take_name(self) -> None:
        """An abstract socket: no file, and gone with us."""
        name = self._held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        name.bind(f"\0kelery-dev-port-{self.number}")

    def _bind(self) -> None:
        bound = self._held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        # With it the gateway can listen beside this socket, and connections of the stack before do not count.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, self.number))
