"""The whole stack for a benchmark: real services as subprocesses on loopback, each with a log of its own.

Unlike `kelery dev` nothing is kept and nothing is started again: a service that dies is a failed measurement.
Both stores leave the disk alone (no fsync), so that the figures are those of the software.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kelery.kube.sync_session import SyncSession
from kelery_bench.tasks import APP
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.etcd import http_answers
from kelery_dev.control_plane.sources import find_control_plane
from kelery_dev.errors import DevError
from kelery_dev.stack.services import Programs, gateway_service, operator_service, worker_variables
from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.child_process import ChildProcess, Command
from kelery_dev.supervise.ports import LOOPBACK, free_port

_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
#: As `kelery worker` calls Celery, so that a worker without the plug-in differs in nothing else.
_WORKER_FLAGS = ("-P", "prefork", "-O", "fair", "--disable-prefetch", "--without-gossip", "--without-mingle")


class StackService:
    """A running service."""

    def __init__(self, process: ChildProcess, *, url: str = "") -> None:
        self._process = process
        self._stopped = False
        #: Where it serves HTTP, if it does.
        self.url = url

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._process.log

    def stop(self) -> None:
        """SIGTERM, some seconds, SIGKILL; only the first call does anything."""
        if not self._stopped:
            self._stopped = True
            self._process.stop(grace=_STOP_SECONDS)


@dataclass(kw_only=True)
class LocalStack:
    """The running services, and more of them if asked; several of a kind if wanted."""

    plane: ControlPlane
    #: The administrator's.
    access: SyncSession
    valkey: ValkeyServer
    folder: Path
    app: str
    concurrency: int
    #: Those that the stack was started with; None if it was to do without.
    operator: StackService | None = None
    gateway: StackService | None = None
    worker: StackService | None = None
    _services: list[StackService] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def gateway_url(self) -> str:
        if self.gateway is None:
            raise DevError("this stack was started without a gateway")
        return self.gateway.url

    def start_worker(
        self,
        *args: str,
        plugin: bool = True,
        env: Mapping[str, str] | None = None,
        concurrency: int | None = None,
    ) -> StackService:
        """A worker that takes messages when this returns; `args` are Celery's, such as "-Q", "own"."""
        name = f"worker-{next(self._numbers)}"
        argv = [sys.executable, "-m", "celery", "-A", self.app, "worker", *_WORKER_FLAGS]
        argv += ["-n", f"{name}@bench", "-l", "INFO", "-c", str(concurrency or self.concurrency)]
        argv += ["-I", "kelery_worker"] if plugin else []
        variables = {**worker_variables(self.valkey.url), **(env or {})}
        command = Command(name=name, argv=(*argv, *args), env=variables)
        return self._start(command, ready=lambda log: b" ready." in log.read_bytes())

    def start_operator(self, *, env: Mapping[str, str] | None = None) -> StackService:
        """An operator, ready when this returns; of all namespaces, unless `env` has KELERY_NAMESPACES."""
        port = free_port()
        service = operator_service(
            Programs(),
            kubeconfig=self.plane.kubeconfig,
            redis_url=self.valkey.url,
            health_port=port,
            variables=env,
        )
        return self._start_http(service.command, port=port)

    def start_gateway(self, *, env: Mapping[str, str] | None = None) -> StackService:
        """A gateway for everybody on this machine. It is ready when this returns."""
        port = free_port()
        service = gateway_service(
            Programs(),
            kubeconfig=self.plane.kubeconfig,
            redis_url=self.valkey.url,
            port=port,
            variables=env,
        )
        return self._start_http(service.command, port=port)

    def start_program(
        self, command: Command, *, ready: Callable[[Path], bool], url: str = ""
    ) -> StackService:
        """Any other program, such as a reference; `ready` is asked with its log."""
        return self._start(command, ready=ready, url=url)

    def create_namespace(self, prefix: str) -> str:
        """A new namespace, of a name that begins so."""
        name = f"{prefix}-{next(self._numbers)}"
        answer = self.access.request("POST", path="/api/v1/namespaces", body={"metadata": {"name": name}})
        if answer.status != 201:
            raise DevError(f"cannot create the namespace {name}: {answer.message}")
        return name

    def stop(self) -> None:
        """All of Kelery's services; the last started goes first."""
        while self._services:
            self._services.pop().stop()

    def _start_http(self, command: Command, *, port: int) -> StackService:
        url = f"http://{LOOPBACK}:{port}"
        return self._start(command, ready=lambda _: http_answers(f"{url}/readyz"), url=url)

    def _start(self, command: Command, *, ready: Callable[[Path], bool], url: str = "") -> StackService:
        process = ChildProcess(command, log=self.folder / f"{command.name}-{next(self._numbers)}.log")
        service = StackService(process, url=url)
        self._services.append(service)
        process.wait_until(lambda: ready(process.log), timeout=_READY_SECONDS)
        return service


@contextlib.contextmanager
def local_stack(
    *,
    app: str = APP,
    concurrency: int = 2,
    operator: bool = True,
    gateway: bool = True,
    worker: bool = True,
    plane: ControlPlane | None = None,
) -> Iterator[LocalStack]:
    """The stack, while the context is open. A `plane` that is handed in is used and left running."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kelery-bench-")))
        if plane is None:
            plane = stack.enter_context(ControlPlane.start(binaries=find_control_plane()))
        valkey = stack.enter_context(ValkeyServer())
        running = LocalStack(
            plane=plane,
            access=plane.access(),
            valkey=valkey,
            folder=folder,
            app=app,
            concurrency=concurrency,
        )
        stack.callback(running.stop)
        if worker:
            running.worker = running.start_worker()
        if operator:
            running.operator = running.start_operator()
        if gateway:
            running.gateway = running.start_gateway()
        yield running
