"""The operator's own port: /livez, /readyz, /metrics.

The operator is alive while work progresses, even if the ledger or the API server is unavailable. It is ready
after the first comparison of ledger and cluster, while the ledger answers.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from kelery.errors import SettingsError
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.watchdog import Watchdog

#: A longer round has stalled, because all its waits have shorter timeouts.
_STALL_SECONDS = 60.0


class HealthServer:
    """The HTTP server. It does not answer while the event loop hangs, so probes notice that too."""

    def __init__(self, *, metrics: Metrics, watchdog: Watchdog, why_not_ready: Callable[[], str]) -> None:
        self._metrics = metrics
        self._watchdog = watchdog
        self._why_not_ready = why_not_ready
        self._runner: web.AppRunner | None = None

    async def start(self, *, host: str, port: int) -> None:
        """Start to listen. Raises SettingsError if the address cannot be used."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, shutdown_timeout=1).start()
        except OSError as error:
            problem = error.strerror or "cannot listen"
            raise SettingsError(f"KELERY_OPERATOR_HEALTH_ADDR={host}:{port}: {problem}") from error

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        return _verdict(why_not_alive(self._watchdog))

    async def _readyz(self, _: web.Request) -> web.Response:
        return _verdict(self._why_not_ready())

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


def why_not_alive(watchdog: Watchdog) -> str:
    """The reason, or "" while work progresses."""
    stalled = watchdog.stalled_for()
    return f"no progress for {stalled:.0f} s" if stalled > _STALL_SECONDS else ""


def _verdict(why_not: str) -> web.Response:
    return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ok'}\n")
