"""Serves the app with uvicorn, with sockets and signal handlers of its own.

Invariant: SIGTERM stops the gateway within five seconds with exit status 0, no matter which requests are in
progress. A service that fails stops it with exit status 1, so that it is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop
from starlette.types import ASGIApp

from kelery.address import Address
from kelery.errors import SettingsError
from kelery.kube.login import Login
from kelery_api.app import create_app, environment_login
from kelery_api.http.bounded_protocol import BoundedHttp
from kelery_api.routes.health_pages import metrics_app
from kelery_api.settings import ApiSettings, Auth

logger = logging.getLogger("kelery.api")

#: Requests in progress are aborted after this time. Closing needs the rest of the five seconds.
_GRACE_SECONDS = 3
_BACKLOG = 2048


def serve(settings: ApiSettings) -> int:
    """Serve until SIGTERM, SIGINT or a failure; the exit status."""
    _warn(settings)
    login = environment_login(settings)
    if login is not None:
        # Before the event loop, because it can run a plug-in, and so that an error stops the start.
        login.credentials()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, login=login))


async def _serve(settings: ApiSettings, *, login: Login | None) -> int:
    main = listen(settings.address, variable="KELERY_API_ADDR")
    extra = settings.metrics_address
    health = listen(extra, variable="KELERY_API_METRICS_ADDR") if extra else None
    app = create_app(settings, login=login)
    signalled = _catch_signals(app.state.stopping)
    # Entered here, not by uvicorn, so that an error in the settings reaches the caller unchanged.
    async with app.router.lifespan_context(app):
        servers = {_server(app): main}
        if health is not None:
            servers[_server(metrics_app(app))] = health
        # Everything created so far stays alive, so garbage collections can skip it.
        gc.freeze()
        logger.info("listening", extra={"address": _shown(main), "auth": settings.auth.value})
        await _run(servers, stopping=app.state.stopping)
    return 0 if signalled.is_set() else 1


async def _run(servers: dict[_Server, socket.socket], *, stopping: asyncio.Event) -> None:
    running = [asyncio.create_task(server.serve(sockets=[bound])) for server, bound in servers.items()]
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({stop, *running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    logger.info("stopping")
    for server in servers:
        server.should_exit = True
    await asyncio.gather(stop, *running)


def listen(address: Address, *, variable: str) -> socket.socket:
    """A listening socket. SettingsError names the variable and the system's error."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(where)
            # Not left to uvicorn: only after this call, the port is reserved.
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        problem = (error.strerror or "cannot listen").lower()
        raise SettingsError(f"{variable}={address}: {problem}; use another address") from error
    bound.setblocking(False)
    return bound


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


class _Server(uvicorn.Server):
    """Does not handle signals: uvicorn would raise them again at its end, which changes the exit status."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _catch_signals(stopping: asyncio.Event) -> asyncio.Event:
    """A signal sets `stopping` and the returned event, which tells a signal from a failure."""
    signalled = asyncio.Event()

    def stop() -> None:
        signalled.set()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return signalled


def _warn(settings: ApiSettings) -> None:
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if settings.auth is Auth.NONE:
        logger.warning(
            "KELERY_AUTH=none: anyone who can reach %s can run, cancel and read everything",
            settings.address,
        )


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return str(Address(host=host, port=port))
