"""`kelery dev --kubeconfig` on an existing cluster, with a credential plug-in as cloud providers have.

`kelery bench --kubeconfig` connects in the same way.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kelery_dev.control_plane import api_server
from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.supervise.child_process import Command
from tests.integration.demo.running_stack import running_stack
from tests.support.certificates import Authority
from tests.support.cluster import Cluster
from tests.support.kubeconfigs import Plugin, kubeconfig


@pytest.fixture
def authority() -> Authority:
    return Authority("cluster's clients")


@pytest.fixture
def plane(
    control_plane_binaries: Binaries, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ControlPlane]:
    """A cluster without the CRD. It accepts client certificates of the authority."""
    file = tmp_path / "clients.crt"
    file.write_text(authority.certificate)
    plain = api_server.api_server_command

    def command(settings: api_server.ApiServerSettings) -> Command:
        made = plain(settings)
        return replace(made, argv=(*made.argv, f"--client-ca-file={file}"))

    monkeypatch.setattr(api_server, "api_server_command", command)
    with ControlPlane.start(binaries=control_plane_binaries, state_dir=tmp_path / "cluster") as running:
        assert running.kubectl("delete", "crd", "--all").returncode == 0
        yield running


def test_it_is_used_by_all_parts_and_by_the_benchmark(
    plane: ControlPlane, authority: Authority, environment: dict[str, str], tmp_path: Path
) -> None:
    plugin = Plugin(tmp_path / "plugin")
    pair = authority.pair("developer", group="system:masters")
    plugin.hands_out(clientCertificateData=pair.certificate, clientKeyData=pair.private_key)
    cluster = {"server": plane.server, "certificate-authority": str(plane.certificate)}
    file = kubeconfig(tmp_path / "kube" / "config", cluster=cluster, user=plugin.user())
    kelery = [sys.executable, "-m", "kelery"]
    with running_stack([*kelery, "dev", "--kubeconfig", str(file)], folder=tmp_path, environment=environment):
        # One run each for the command itself, the operator and the gateway.
        assert plugin.runs == 3
        runs = Cluster(plane.access(), namespace="default")
        runs.create(name="on-their-cluster")
        runs.wait_for("on-their-cluster", phase="Succeeded", seconds=30)
        bench = subprocess.run(
            [*kelery, "bench", "--quick", "--kubeconfig", str(file), "--namespace", "default"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    # All checks passed and a trial run succeeded, but this cluster has no pods.
    assert "trial: a TaskRun of the task demo.hello" in bench.stderr
    assert "took a run, but there is no running pod" in bench.stderr.splitlines()[-1]
    assert bench.returncode == 2
    assert plugin.runs == 4
