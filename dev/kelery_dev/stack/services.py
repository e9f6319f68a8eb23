"""The services of the stack for the supervisor: commands, environments, readiness, stop steps.

All stop steps together take less than 15 seconds, the time that `kelery dev` promises. Operator and gateway
stop together.
"""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kelery_dev.control_plane import api_server, etcd
from kelery_dev.control_plane.api_server import ApiServerSettings
from kelery_dev.control_plane.control_plane import API_SERVER_START_SECONDS, ETCD_START_SECONDS
from kelery_dev.control_plane.etcd import EtcdSettings, http_answers
from kelery_dev.stack.valkey import ValkeySettings, valkey_answers, valkey_command
from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.ports import LOOPBACK
from kelery_dev.supervise.service import Service, StopStep, terminate

# Loading the append-only file of a long session takes a while.
_VALKEY_READY_SECONDS = 60.0
_KELERY_READY_SECONDS = 60.0
#: Seconds for running tasks to end; then the worker kills and settles them.
DRAIN_SECONDS = 3
#: The same if only the worker stops, to restart with new code.
RELOAD_DRAIN_SECONDS = 10
_WORKER_STOP = (
    StopStep(signal=signal.SIGTERM, seconds=5.0),
    StopStep(signal=signal.SIGQUIT, seconds=1.0),
)
# With --reload the worker has the longer drain: SIGQUIT kills and settles its runs in time.
_RELOADING_WORKER_STOP = (
    StopStep(signal=signal.SIGTERM, seconds=float(DRAIN_SECONDS)),
    StopStep(signal=signal.SIGQUIT, seconds=3.0),
)
_WORKER_RELOAD = (
    StopStep(signal=signal.SIGTERM, seconds=RELOAD_DRAIN_SECONDS + 2.0),
    StopStep(signal=signal.SIGQUIT, seconds=1.0),
)
_HTTP_STOP = terminate(3.0)
_SERVER_STOP = terminate(1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The command lines of Kelery's own processes; tests replace them."""

    worker: tuple[str, ...] = (sys.executable, "-m", "kelery", "worker")
    operator: tuple[str, ...] = (sys.executable, "-m", "kelery", "operator")
    gateway: tuple[str, ...] = (sys.executable, "-m", "kelery", "api")


def valkey_service(settings: ValkeySettings) -> Service:
    """Ledger and broker."""
    return Service(
        command=valkey_command(settings),
        is_ready=lambda: valkey_answers(settings.port),
        ready_seconds=_VALKEY_READY_SECONDS,
        stop_steps=_SERVER_STOP,
        essential=True,
        where=settings.url,
    )


def etcd_service(settings: EtcdSettings) -> Service:
    """The API server's store."""
    return Service(
        command=etcd.etcd_command(settings),
        is_ready=lambda: etcd.etcd_answers(settings),
        ready_seconds=ETCD_START_SECONDS,
        stop_steps=_SERVER_STOP,
        essential=True,
        where=settings.url,
    )


def api_server_service(settings: ApiServerSettings) -> Service:
    """The Kubernetes API."""
    return Service(
        command=api_server.api_server_command(settings),
        is_ready=lambda: api_server.api_server_answers(settings),
        ready_seconds=API_SERVER_START_SECONDS,
        stop_steps=_SERVER_STOP,
        essential=True,
        where=settings.url,
    )


def worker_variables(redis_url: str) -> dict[str, str]:
    """The variables that point an app to the stack's Redis, whatever its code and the shell say."""
    return {
        "KELERY_REDIS_URL": redis_url,
        "CELERY_BROKER_URL": redis_url,
        "CELERY_RESULT_BACKEND": redis_url,
    }


def worker_service(
    programs: Programs,
    *,
    app: str,
    concurrency: int,
    redis_url: str,
    queues: str | None = None,
    reload: bool = False,
) -> Service:
    """A Celery worker with the user's app or the demo; `reload` gives running tasks more time to end."""
    drain = RELOAD_DRAIN_SECONDS if reload else DRAIN_SECONDS
    chosen = ("-Q", queues) if queues else ()
    return Service(
        command=Command(
            name="worker",
            argv=(*programs.worker, "-A", app, "-c", str(concurrency), *chosen),
            env={
                **_python_environment(),
                **worker_variables(redis_url),
                "KELERY_DRAIN_SECONDS": str(drain),
            },
        ),
        ready_line=" ready.",
        ready_seconds=_KELERY_READY_SECONDS,
        stop_steps=_RELOADING_WORKER_STOP if reload else _WORKER_STOP,
        reload_steps=_WORKER_RELOAD,
        talkative=True,
        where=f"app {app}, {concurrency} tasks at once",
    )


def operator_service(
    programs: Programs,
    *,
    kubeconfig: Path,
    redis_url: str,
    health_port: int,
    variables: Mapping[str, str] | None = None,
) -> Service:
    """The operator, with its health address on loopback."""
    address = f"{LOOPBACK}:{health_port}"
    own = {"KELERY_OPERATOR_HEALTH_ADDR": address, **(variables or {})}
    common = _control_plane_variables(kubeconfig=kubeconfig, redis_url=redis_url)
    return _http_service(Command(name="operator", argv=programs.operator, env={**common, **own}), address)


def gateway_service(
    programs: Programs,
    *,
    kubeconfig: Path,
    redis_url: str,
    port: int,
    variables: Mapping[str, str] | None = None,
) -> Service:
    """The gateway on loopback, without authentication."""
    address = f"{LOOPBACK}:{port}"
    own = {"KELERY_API_ADDR": address, "KELERY_AUTH": "none", **(variables or {})}
    common = _control_plane_variables(kubeconfig=kubeconfig, redis_url=redis_url)
    return _http_service(Command(name="gateway", argv=programs.gateway, env={**common, **own}), address)


def _http_service(command: Command, address: str) -> Service:
    """A service that serves HTTP at `address`, with /readyz for its readiness."""
    return Service(
        command=command,
        is_ready=lambda: http_answers(f"http://{address}/readyz"),
        ready_seconds=_KELERY_READY_SECONDS,
        stop_steps=_HTTP_STOP,
        talkative=True,
        where=f"http://{address}",
    )


def _control_plane_variables(*, kubeconfig: Path, redis_url: str) -> dict[str, str]:
    """The common variables of operator and gateway."""
    return {
        **_python_environment(),
        "KUBECONFIG": str(kubeconfig),
        "REDIS_URL": redis_url,
        # It takes precedence: one from the user's shell would point to another ledger.
        "KELERY_REDIS_URL": redis_url,
        "KELERY_LOG_FORMAT": "text",
    }


def _python_environment() -> Mapping[str, str]:
    """Lines must appear when they are written, not when a buffer is full."""
    return {"PYTHONUNBUFFERED": "1"}
