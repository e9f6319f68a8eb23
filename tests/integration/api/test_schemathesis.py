"""schemathesis sends the live gateway what its OpenAPI document allows, and what it forbids.

All checks are on, and a worker takes the runs. On every push, the number of requests is fixed instead of the
time, since a busy machine could run out of time before the first request. `KELERY_SCHEMATHESIS_SEED` repeats
a run with the seed that it printed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.kubeconfig_file import write_kubeconfig
from tests.integration.api.conftest import StartGateway
from tests.support.accounts import new_account, new_gateway_account
from tests.support.gateway_process import GatewayProcess
from tests.support.played_worker import BusyWorker

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]


def run_schemathesis(gateway: GatewayProcess, *options: str, folder: Path) -> None:
    """Fail with its output if it finds a failure, or did not send all requests that it should."""
    seed = os.environ.get("KELERY_SCHEMATHESIS_SEED") or str(random.randrange(2**32))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_HERE / "schemathesis.toml")),
        *("run", f"{gateway.url}/openapi.json", "--checks", "all", "--seed", seed),
        *options,
    ]
    print("schemathesis with the seed", seed)
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(_HERE / "schemathesis_hooks.py"),
            "PYTHONPATH": str(_ROOT),
            "NO_COLOR": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"schemathesis with the seed {seed}:\n{done.stdout}\n{gateway.told()}"
    # It also exits with 0 if the time limit ends before the first request.
    assert "No tests were run" not in done.stdout
    assert "Time limit reached" not in done.stdout
    assert "request failed with an internal error" not in gateway.log.read_text()


@pytest.mark.parametrize(
    "options",
    [
        # The other test runs all phases.
        pytest.param("--phases=examples,stateful --max-examples=2", marks=pytest.mark.timeout(600)),
        pytest.param("--max-time=1200", marks=[pytest.mark.thorough, pytest.mark.timeout(3600)]),
    ],
)
def test_the_gateway_behaves_as_its_document_describes(
    gateway_process: GatewayProcess, valkey_url: str, tmp_path: Path, options: str
) -> None:
    with BusyWorker(valkey_url):
        run_schemathesis(gateway_process, *options.split(), folder=tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("--max-examples=1", marks=pytest.mark.timeout(600)),
        pytest.param("--max-time=300", marks=[pytest.mark.thorough, pytest.mark.timeout(1800)]),
    ],
)
def test_it_does_so_with_kubernetes_authorization_too(
    control_plane: ControlPlane, start_gateway: StartGateway, valkey_url: str, tmp_path: Path, options: str
) -> None:
    """Also no operation works without a token or with an invalid one: schemathesis tries both."""
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(
        kubeconfig,
        server=control_plane.server,
        certificate=control_plane.certificate,
        token=new_gateway_account(control_plane).token(),
    )
    user = new_account(control_plane)
    user.bind_cluster_role("cluster-admin")
    gateway = start_gateway(KELERY_AUTH="kubernetes", KUBECONFIG=str(kubeconfig))
    with BusyWorker(valkey_url):
        token = f"Authorization: Bearer {user.token('kelery')}"
        run_schemathesis(gateway, "--header", token, *options.split(), folder=tmp_path)
