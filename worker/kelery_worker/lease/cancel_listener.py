"""Listens for cancels of this worker's runs, so that they do not wait for the next renewal.

A message only triggers a renewal, and its answer stops the run. So a lost message only delays the cancel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kelery.ledger import sync_client
from kelery_worker.relayed_log import logger

_LISTEN_SECONDS = 5.0
_AGAIN_SECONDS = 1.0


class CancelListener:
    """A thread that calls `on_cancel` for each message on `channel` and after each subscription."""

    def __init__(self, ledger: sync_client.Ledger, *, channel: str, on_cancel: Callable[[], None]) -> None:
        self._client = ledger.client
        self._channel = channel
        self._on_cancel = on_cancel
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kelery-cancels", daemon=True)

    def start(self) -> None:
        """Start listening; Redis may still be unavailable."""
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; the thread ends with the process at the latest."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as error:
                # Another thread may close the connections; listen again after any error.
                logger.debug("cannot listen for cancels: %s", error)
                self._stopping.wait(_AGAIN_SECONDS)

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:
            subscription.subscribe(self._channel)
            while not self._stopping.is_set():
                if subscription.get_message(timeout=_LISTEN_SECONDS) is not None:
                    # Also for the subscription's confirmation: earlier messages were not received.
                    self._on_cancel()
