"""A real control plane on loopback: etcd and kube-apiserver, with CRD and admission policy.

`ControlPlane.start` is synchronous, for tests and scripts. `kelery dev` runs the same commands with its
supervisor.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from kelery.kube.sync_session import SyncSession
from kelery_dev.control_plane import api_server, etcd, manifests
from kelery_dev.control_plane.api_server import ApiServerSettings
from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.etcd import EtcdSettings
from kelery_dev.control_plane.kubeconfig_file import write_kubeconfig
from kelery_dev.supervise import ports
from kelery_dev.supervise.child_process import ChildProcess

ETCD_START_SECONDS = 30.0
API_SERVER_START_SECONDS = 90.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneSettings:
    """Both servers and the kubeconfig of one state directory."""

    etcd: EtcdSettings
    api_server: ApiServerSettings
    kubeconfig: Path


def control_plane_settings(state_dir: Path, *, binaries: Binaries, durable: bool) -> ControlPlaneSettings:
    """The settings for a state directory; it keeps its ports across restarts if they are free."""
    chosen = ports.remembered_ports(state_dir / "ports.json", names=("etcd", "apiserver"))
    etcd_settings = EtcdSettings(
        binary=binaries.etcd, port=chosen["etcd"], folder=state_dir / "etcd", durable=durable
    )
    return ControlPlaneSettings(
        etcd=etcd_settings,
        api_server=ApiServerSettings(
            binary=binaries.kube_apiserver,
            port=chosen["apiserver"],
            folder=state_dir / "apiserver",
            etcd_url=etcd_settings.url,
        ),
        kubeconfig=state_dir / "kubeconfig",
    )


def write_access(settings: ControlPlaneSettings) -> None:
    """Write the kubeconfig, after the API server is up: the server creates its certificate itself."""
    server = settings.api_server
    write_kubeconfig(
        settings.kubeconfig, server=server.url, certificate=server.certificate, token=server.token
    )


class ControlPlane:
    """A running control plane: `with ControlPlane.start(binaries=...) as plane: plane.kubectl(...)`."""

    def __init__(
        self, settings: ControlPlaneSettings, *, binaries: Binaries, own_folder: Path | None
    ) -> None:
        self.settings = settings
        self.binaries = binaries
        self._own_folder = own_folder
        self._children: list[ChildProcess] = []

    @classmethod
    def start(
        cls, *, binaries: Binaries, state_dir: Path | None = None, durable: bool = False
    ) -> "ControlPlane":
        """Start it and apply the chart's manifests; returns when they are served."""
        own_folder = None if state_dir else Path(tempfile.mkdtemp(prefix="kelery-plane-"))
        folder = (state_dir or own_folder or Path()).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        settings = control_plane_settings(folder, binaries=binaries, durable=durable)
        plane = cls(settings, binaries=binaries, own_folder=own_folder)
        try:
            plane._start_servers(folder)
            plane._apply_manifests()
        except BaseException:
            plane.stop()
            raise
        return plane

    @property
    def kubeconfig(self) -> Path:
        return self.settings.kubeconfig

    @property
    def server(self) -> str:
        return self.settings.api_server.url

    @property
    def token(self) -> str:
        return self.settings.api_server.token

    @property
    def certificate(self) -> Path:
        """The CA file: the server's certificate and its authority."""
        return self.settings.api_server.certificate

    def access(self) -> SyncSession:
        """The administrator's access."""
        return SyncSession.from_kubeconfig(self.kubeconfig)

    def kubectl(self, *arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; the caller checks the return code."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            # Not the user's own discovery cache.
            "KUBECACHEDIR": str(self.kubeconfig.with_name("kubectl-cache")),
        }
        return subprocess.run(
            [str(self.binaries.kubectl), *arguments],
            env=environment,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def stop(self) -> None:
        """Stop the API server, then etcd; remove a temporary folder."""
        while self._children:
            self._children.pop().stop(grace=_STOP_SECONDS)
        if self._own_folder:
            rmtree(self._own_folder, ignore_errors=True)

    def __enter__(self) -> "ControlPlane":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_servers(self, folder: Path) -> None:
        server, store = self.settings.api_server, self.settings.etcd
        api_server.prepare(server)
        child = ChildProcess(etcd.etcd_command(store), log=folder / "etcd.log")
        self._children.append(child)
        child.wait_until(lambda: etcd.etcd_answers(store), timeout=ETCD_START_SECONDS)
        child = ChildProcess(api_server.api_server_command(server), log=folder / "apiserver.log")
        self._children.append(child)
        child.wait_until(lambda: api_server.api_server_answers(server), timeout=API_SERVER_START_SECONDS)
        write_access(self.settings)

    def _apply_manifests(self) -> None:
        """Apply the policy first: the API server needs a moment to enforce it."""
        manifests.apply_policy(self.access())
        manifests.apply_crds(self.access())
