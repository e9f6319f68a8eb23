"""A Redis that accepts a worker's first connections but never answers, and is then replaced."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import LOOPBACK
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess


@contextlib.contextmanager
def deaf_server() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """Accepts connections until its socket is closed; keeps them open, but never reads from them."""
    taken: list[socket.socket] = []
    listener = socket.create_server((LOOPBACK, 0))

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    try:
        yield listener, taken
    finally:
        for connection in [listener, *taken]:
            connection.close()


def test_a_worker_does_not_wait_for_ever(tmp_path: Path) -> None:
    with deaf_server() as (listener, taken):
        port = listener.getsockname()[1]
        worker = WorkerProcess(
            url=f"redis://{LOOPBACK}:{port}/0",
            log=tmp_path / "worker.log",
            app="user_app",
            name="patient",
            lease=15,
            args=("-c", "1"),
            env={},
        )
        try:
            # One of the keeper, one of Celery; both wait for the answer to their first command.
            poll_until(lambda: len(taken) >= 2, seconds=30, what="two connections", state=worker.output)
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            with ValkeyServer(port=port):
                worker.wait_until_ready()
        finally:
            worker.close()
