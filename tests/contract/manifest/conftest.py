"""A new namespace on the real API server, with the CRD served and the admission policy in force."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from kelery.kube.sync_session import SyncSession
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.contract.manifest.taskruns_over_http import TaskRuns
from tests.contract.manifest.until_in_force import ask_until


@pytest.fixture(scope="session")
def access(control_plane: ControlPlane) -> SyncSession:
    """The administrator's access."""
    return control_plane.access()


@pytest.fixture(scope="session")
def new_namespace(access: SyncSession) -> Callable[[dict[str, str]], str]:
    """Creates a namespace with the given labels."""

    def make(labels: dict[str, str]) -> str:
        name = f"manifest-{uuid4().hex[:8]}"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        answer = access.request("POST", path="/api/v1/namespaces", body=body)
        assert answer.status == 201, answer.message
        return name

    return make


@pytest.fixture(scope="session")
def taskruns(access: SyncSession, new_namespace: Callable[[dict[str, str]], str]) -> TaskRuns:
    """The administrator's TaskRuns in a namespace without labels."""
    taskruns = TaskRuns(access=access, namespace=new_namespace({}))
    probe = taskruns.create({"task": "demo.add", "args": [1]})
    ask_until(lambda: taskruns.try_replace(probe, spec={"task": "demo.add", "args": [2]}), status=422)
    return taskruns
