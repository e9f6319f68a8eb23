"""The operator's logs: Kelery's own, without kopf's chatter."""

from __future__ import annotations

from kelery.telemetry import logs

#: kopf reports every success of its handlers, which nobody needs.
_NOISY = ("kopf.objects", "kopf.activities", "aiohttp.access", "kopf._core.engines.activities")


def set_up(log_format: str) -> None:
    """Log to stderr."""
    logs.set_up(log_format, only_warnings_of=_NOISY)
