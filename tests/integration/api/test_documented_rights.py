"""The roles in docs/reference/rest-api.md, on a real API server: they allow what it says, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.kubeconfig_file import write_kubeconfig
from kelery_dev.documents.blocks import marked_blocks
from tests.integration.api.conftest import StartGateway
from tests.support.accounts import Account, new_account
from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until

GUIDE = Path(__file__).parents[3] / "docs" / "reference" / "rest-api.md"
RUNS = "/v1/namespaces/team-a/taskruns"


@pytest.fixture(scope="module")
def submitter(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The submitter of the page, after all roles of the page were applied."""
    account = new_account(control_plane, namespace="team-a", name="submitter")
    blocks = [block for block in marked_blocks(GUIDE) if block.mark.startswith("rbac: ")]
    assert len(blocks) == 2
    file = tmp_path_factory.mktemp("roles") / "roles.yaml"
    file.write_text("---\n".join(block.text for block in blocks))
    applied = control_plane.kubectl("apply", "-f", str(file))
    assert applied.returncode == 0, applied.stderr
    account.wait_until_allowed(verb="patch", namespace="team-a")
    return account


@pytest.fixture
def gateway(
    submitter: Account, control_plane: ControlPlane, start_gateway: StartGateway, tmp_path: Path
) -> GatewayProcess:
    """A gateway that runs with the page's account."""
    account = new_account(control_plane, namespace="kelery", name="kelery-api")
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(
        kubeconfig,
        server=control_plane.server,
        certificate=control_plane.certificate,
        token=account.token(),
    )
    account.wait_until_allowed(verb="delete")
    return start_gateway(KELERY_AUTH="kubernetes", KUBECONFIG=str(kubeconfig))


def test_a_submitter_runs_the_one_task_of_the_page_in_its_namespace(
    gateway: GatewayProcess, submitter: Account
) -> None:
    token = submitter.token("kelery")

    def create(task: str, *, path: str = RUNS) -> int:
        return gateway.ask(path, method="POST", body={"spec": {"task": task}}, token=token).status

    # The API server needs a moment to grant the account's permission to review tokens.
    poll_until(lambda: gateway.ask(RUNS, token=token).status == 200, seconds=60, what="the permissions")
    assert create("proj.report") == 202
    assert create("proj.other") == 403
    assert create("proj.report", path="/v1/namespaces/default/taskruns") == 403
    [run] = gateway.ask(RUNS, token=token).json["items"]
    path = f"{RUNS}/{run['metadata']['uid']}"
    assert gateway.ask(f"{path}:cancel", method="POST", token=token).status == 200
    assert gateway.ask(path, method="DELETE", token=token).status == 204
    assert gateway.ask("/v1/queues", token=token).status == 403


def test_the_permissions_of_a_submitter_are_listed_as_the_page_describes(
    submitter: Account, control_plane: ControlPlane
) -> None:
    listed = control_plane.kubectl("auth", "can-i", "--list", "-n", "team-a", f"--as={submitter.user}")
    [line] = [line for line in listed.stdout.splitlines() if line.startswith("tasks.kelery.dev")]
    assert "[proj.report]" in line
    assert "[use]" in line
