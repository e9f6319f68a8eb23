"""The whole stack for a benchmark: real services as subprocesses on loopback, each with its own log.

Unlike `kelery dev` it keeps no data and restarts nothing: a service that dies is a failed measurement. Both
stores do not sync to disk, so that the figures are those of the software.
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
#: The flags of `kelery worker`, so that a worker without the plug-in differs in nothing else.
_WORKER_FLAGS = ("-P", "prefork", "-O", "fair", "--disable-prefetch", "--without-gossip", "--without-mingle")


class StackService:
    """A running service."""

    def __init__(self, process: ChildProcess, *, url: str = "") -> None:
        self._process = process
        self._stopped = False
        #: The URL of its HTTP server, or empty.
        self.url = url

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path:
        return self._process.log

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after some seconds; further calls do nothing."""
        if not self._stopped:
            self._stopped = True
            self._process.stop(grace=_STOP_SECONDS)


@dataclass(kw_only=True)
class LocalStack:
    """The running services; more can be started, also several of one kind."""

    plane: ControlPlane
    #: The administrator's access.
    access: SyncSession
    valkey: ValkeyServer
    folder: Path
    app: str
    concurrency: int
    #: The services of the start; None if not requested.
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
        """Start a worker and wait until it is ready; `args` are Celery's, such as "-Q", "own"."""
        name = f"worker-{next(self._numbers)}"
        argv = [sys.executable, "-m", "celery", "-A", self.app, "worker", *_WORKER_FLAGS]
        argv += ["-n", f"{name}@bench", "-l", "INFO", "-c", str(concurrency or self.concurrency)]
        argv += ["-I", "kelery_worker"] if plugin else []
        variables = {**worker_variables(self.valkey.url), **(env or {})}
        command = Command(name=name, argv=(*argv, *args), env=variables)
        return self._start(command, ready=lambda log: b" ready." in log.read_bytes())

    def start_operator(self, *, env: Mapping[str, str] | None = None) -> StackService:
        """Start an operator and wait until it is ready; `env` may limit it with KELERY_NAMESPACES."""
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
        """Start a gateway without authentication and wait until it is ready."""
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
        """Start another program, such as a reference; `ready` receives its log."""
        return self._start(command, ready=ready, url=url)

    def create_namespace(self, prefix: str) -> str:
        """Create a namespace whose name starts with `prefix`."""
        name = f"{prefix}-{next(self._numbers)}"
        answer = self.access.request("POST", path="/api/v1/namespaces", body={"metadata": {"name": name}})
        if answer.status != 201:
            raise DevError(f"cannot create the namespace {name}: {answer.message}")
        return name

    def stop(self) -> None:
        """Stop all of Kelery's services, the last started first."""
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
    """The stack while the context is open. A given `plane` is used and left running."""
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
