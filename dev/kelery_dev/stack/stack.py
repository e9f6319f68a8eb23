"""The whole stack: Valkey, control plane, worker, operator and gateway.

`prepare` finds the programs and takes lock and port; it may take minutes. `start` starts the services in
order. `kelery dev` (`foreground.py`) and the demo use this class.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kelery.kube.sync_session import SyncSession
from kelery_dev.control_plane import api_server, manifests
from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import control_plane_settings, write_access
from kelery_dev.control_plane.sources import find_control_plane
from kelery_dev.errors import DevError
from kelery_dev.stack.app_check import AppFacts, app_facts
from kelery_dev.stack.reload import watch_code, watched_folders
from kelery_dev.stack.reserved_port import ReservedPort
from kelery_dev.stack.services import (
    RELOAD_DRAIN_SECONDS,
    Programs,
    api_server_service,
    etcd_service,
    gateway_service,
    operator_service,
    valkey_service,
    worker_service,
    worker_variables,
)
from kelery_dev.stack.start_task import VARIABLE, OwnTask, start_task, start_variables
from kelery_dev.stack.state_dir import StateDir
from kelery_dev.stack.valkey import ValkeySettings
from kelery_dev.supervise import ports
from kelery_dev.supervise.console import Console
from kelery_dev.supervise.supervisor import Supervisor

DEMO_APP = "kelery_worker.demo"
DEFAULT_CONCURRENCY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """The user's options; with `kubeconfig`, an existing cluster replaces the local control plane."""

    state_dir: Path = Path(".kelery")
    app: str = DEMO_APP
    concurrency: int = DEFAULT_CONCURRENCY
    queues: str | None = None
    port: int = 8000
    reload: bool = False
    kubeconfig: Path | None = None


class Stack:
    """One stack: prepare, start, stop; or `async with Stack(options) as stack`."""

    def __init__(
        self, options: StackOptions, *, console: Console | None = None, programs: Programs | None = None
    ) -> None:
        self.options = options
        self.console = console or Console()
        self._programs = programs or Programs()
        self._held = contextlib.ExitStack()
        self._state: StateDir | None = None
        self._binaries: Binaries | None = None
        #: To the user's cluster.
        self._access: SyncSession | None = None
        self._ports: dict[str, int] = {}
        self._app = AppFacts()
        self._port: ReservedPort | None = None
        self._valkey: ValkeySettings | None = None
        self._supervisor: Supervisor | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for the services and for the user."""
        given = self.options.kubeconfig
        return given.expanduser().resolve() if given else self._prepared_state().kubeconfig

    @property
    def redis_url(self) -> str:
        assert self._valkey is not None, "the stack is not prepared"
        return self._valkey.url

    @property
    def url(self) -> str:
        """The URL of the gateway."""
        assert self._port is not None, "the stack is not prepared"
        return self._port.url

    @property
    def kubectl(self) -> Path | None:
        """A kubectl: from the local control plane, else from PATH, else None."""
        if self._binaries:
            return self._binaries.kubectl
        own = shutil.which("kubectl")
        return Path(own) if own else None

    @property
    def env_file(self) -> Path:
        """Shell lines with the addresses, to be sourced; written at the start."""
        return self._prepared_state().folder / "env"

    @property
    def tasks(self) -> Sequence[OwnTask]:
        """The app's own; none while it cannot be loaded."""
        return self._app.tasks

    def pid(self, name: str) -> int | None:
        """The process of a service at this moment."""
        return self._supervisor.pid(name) if self._supervisor else None

    def prepare(self) -> None:
        """Take the state directory and the port, look at the app, find the programs.

        Blocking, and interruptible.
        """
        try:
            self._state = state = StateDir(self.options.state_dir)
            self._held.callback(state.release)
            self._ports = ports.remembered_ports(
                state.folder / "ports.json", names=("valkey", "operator-health")
            )
            self._valkey = ValkeySettings(port=self._ports["valkey"], folder=state.folder / "valkey")
            self._look_at_app()
            self._port = ReservedPort(self.options.port)
            self._held.callback(self._port.release)
            if self.options.kubeconfig:
                # The services that it starts have no terminal, so a plug-in must do without one.
                self._access = SyncSession.from_kubeconfig(self.kubeconfig, unattended=True)
            else:
                self._binaries = find_control_plane(announce=self.console.say)
        except BaseException:
            self._held.close()
            raise

    async def start(self) -> None:
        """Start every service in order; after an error or a cancellation, call `stop`."""
        if not self._state:
            self.prepare()
        state = self._prepared_state()
        assert self._valkey is not None
        self._valkey.folder.mkdir(exist_ok=True)
        self._supervisor = Supervisor(console=self.console, logs=state.logs)
        await self._supervisor.start(valkey_service(self._valkey))
        await self._start_cluster(state)
        self._write_env(state)
        await self._start_kelery(self._supervisor)
        if self.options.reload:
            self._watcher = asyncio.create_task(self._reload_on_change())

    async def _start_kelery(self, supervisor: Supervisor) -> None:
        """Start all three at once. Operator and gateway stop before the worker, since they send it work."""
        assert self._port is not None
        options, variables = self.options, self._app.control_plane_variables(os.environ)
        worker = worker_service(
            self._programs,
            app=options.app,
            concurrency=options.concurrency,
            redis_url=self.redis_url,
            queues=options.queues,
            reload=options.reload,
        )
        operator = operator_service(
            self._programs,
            kubeconfig=self.kubeconfig,
            redis_url=self.redis_url,
            health_port=self._ports["operator-health"],
            variables=variables,
        )
        gateway = gateway_service(
            self._programs,
            kubeconfig=self.kubeconfig,
            redis_url=self.redis_url,
            port=self._port.number,
            variables={**variables, **start_variables(start_task(self._app.tasks), environ=os.environ)},
        )
        await asyncio.gather(supervisor.start(worker), supervisor.start(operator, gateway))

    async def stop(self) -> None:
        """Stop every service in reverse order, and release directory and port."""
        if self._watcher:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
        if self._supervisor:
            await self._supervisor.stop()
        self._held.close()

    def kill(self) -> None:
        """Kill every service at once; `stop` then does not wait."""
        if self._supervisor:
            self._supervisor.kill()

    async def failure(self) -> None:
        """Wait; raises the error of the supervisor or of the code's watcher if one fails."""
        assert self._supervisor is not None
        await asyncio.gather(self._supervisor.failure(), *([self._watcher] if self._watcher else []))

    async def __aenter__(self) -> "Stack":
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _look_at_app(self) -> None:
        """Read queues and tasks; an app that cannot be loaded is an error, or with --reload a message."""
        options = self.options
        try:
            self._app = app_facts(options.app, variables=worker_variables(self.redis_url))
        except DevError as error:
            if not options.reload:
                raise
            self.console.say(f"{error}\n--reload: continuing; the worker restarts when you fix the app.")
            # Operator and gateway read these values at their start only.
            self.console.say(
                "If the app sets task_default_queue, or if /start should run its task, restart kelery dev,"
                f" or set KELERY_DEFAULT_QUEUE and {VARIABLE}"
            )
            return
        warning = self._app.warning(chosen=options.queues, environ=os.environ)
        if warning:
            self.console.say(warning)

    async def _start_cluster(self, state: StateDir) -> None:
        """Start the local control plane with CRD and policy; a user's cluster gets only the CRD."""
        assert self._supervisor is not None
        if self._binaries:
            plane = control_plane_settings(state.folder, binaries=self._binaries, durable=True)
            api_server.prepare(plane.api_server)
            await self._supervisor.start(etcd_service(plane.etcd))
            await self._supervisor.start(api_server_service(plane.api_server))
            write_access(plane)
        applied = await asyncio.to_thread(self._apply_manifests)
        self.console.say(f"applied {applied}")

    def _apply_manifests(self) -> str:
        access = self._access or SyncSession.from_kubeconfig(self.kubeconfig)
        if self._binaries:
            manifests.apply_policy(access)
        crds = ", ".join(manifests.apply_crds(access))
        return f"the CRD {crds}" + (" and the admission policy" if self._binaries else "")

    def _variables(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.kubeconfig), "REDIS_URL": self.redis_url, "KELERY_URL": self.url}

    def _write_env(self, state: StateDir) -> None:
        """Write the file to source; it adds a kubectl to PATH only if the user has none."""
        missing = not shutil.which("kubectl")
        folder = self._binaries.folder if self._binaries and missing else None
        state.write_env(variables=self._variables(), path_folder=folder)

    async def _reload_on_change(self) -> None:
        assert self._supervisor is not None
        folders = watched_folders(self.options.app, cwd=Path.cwd())
        if not folders:
            self.console.say(f"--reload: found no folder of {self.options.app}; no code is watched")
        async with contextlib.aclosing(watch_code(folders)) as changes:
            async for changed in changes:
                self.console.say(
                    f"{changed.name} changed; restarting the worker;"
                    f" running tasks have {RELOAD_DRAIN_SECONDS} s to end before they are killed"
                )
                await self._supervisor.reload("worker")

    def _prepared_state(self) -> StateDir:
        if not self._state:
            raise DevError("the stack is not prepared")
        return self._state
