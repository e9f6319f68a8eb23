"""A client that openapi-python-client generates from the live document, unchanged, does what users do."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.gateway_process import PROBLEMS, GatewayProcess
from tests.support.played_worker import BusyWorker

PACKAGE = "kelery_generated_client"
#: The generator would format its output with a ruff on the PATH.
SETTINGS = f"post_hooks: []\npackage_name_override: {PACKAGE}\n"


class GeneratedClient:
    """The generated package, and a connection."""

    def __init__(self, url: str) -> None:
        self.models = module("models")
        self.connection = module("client").Client(base_url=url)

    def call(self, operation: str, *path: str, **options: Any) -> Any:
        """The result of `tag.operation`: a model object, for any status."""
        return module(f"api.{operation}").sync(*path, client=self.connection, **options)

    def status(self, operation: str, *path: str, **options: Any) -> int:
        """The status alone, for responses without a body."""
        return int(
            module(f"api.{operation}").sync_detailed(*path, client=self.connection, **options).status_code
        )

    def create(self, *, name: str | None = None, wait: str = "0s", **spec: Any) -> Any:
        named = {} if name is None else {"name": name}
        body = self.models.TaskRunSubmission(spec=self.models.TaskRunSpec(**spec), **named)
        return self.call("taskruns.create_task_run", "default", body=body, wait=wait)


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture(scope="module")
def client(
    gateway_process: GatewayProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GeneratedClient]:
    """Generated for this test, and imported from its folder."""
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS)
    made = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "openapi_python_client",
                "generate",
                "--meta",
                "none",
                "--fail-on-warning",
            ),
            *("--url", f"{gateway_process.url}/openapi.json", "--config", str(settings)),
            *("--output-path", str(folder / PACKAGE)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        generated = GeneratedClient(gateway_process.url)
        yield generated
        generated.connection.get_httpx_client().close()
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_a_run_is_created_found_listed_cancelled_and_deleted(client: GeneratedClient) -> None:
    concurrency = client.models.TaskRunSpecConcurrencyType0(key="report/7", limit=2)
    made = client.create(name="report", task="demo.add", args=[1, {"a": None}], concurrency=concurrency)
    assert isinstance(made, client.models.TaskRun)
    assert made.status.phase == client.models.TaskRunStatusPhase.ADMITTED
    uid = made.metadata.uid
    found = client.call("taskruns.get_task_run", "default", "report")
    assert found.metadata.uid == uid
    assert (found.spec.args, found.spec.concurrency.key) == ([1, {"a": None}], "report/7")
    phases = [client.models.Phase.ADMITTED]
    listed = client.call("taskruns.list_task_runs", "default", key="report/7", phase=phases)
    assert [item.metadata.uid for item in listed.items] == [uid]
    used = client.call("keys.get_key", "default", "report/7")
    assert (used.limit, [holder.uid for holder in used.holders]) == (2, [uid])
    cancelled = client.call(
        "taskruns.cancel_task_run", "default", uid, body=client.models.CancelRequest(reason="enough")
    )
    assert cancelled.status.phase == client.models.TaskRunStatusPhase.CANCELLED
    assert client.status("taskruns.delete_task_run", "default", uid) == 204
    gone = client.call("taskruns.get_task_run", "default", uid)
    assert isinstance(gone, client.models.Problem)
    assert gone.type_ == f"{PROBLEMS}not-found"


def test_a_wait_returns_the_finished_run_and_its_result(client: GeneratedClient, valkey_url: str) -> None:
    with BusyWorker(valkey_url):
        ended = client.create(task="demo.add", args=[1, 2], wait="60s")
        assert ended.status.phase == client.models.TaskRunStatusPhase.SUCCEEDED
        assert ended.status.result.value == 3
        assert client.call("taskruns.get_result", "default", ended.metadata.uid) == 3


def test_a_problem_is_an_object_that_names_every_invalid_field(client: GeneratedClient) -> None:
    problem = client.create(task="two words", priority=5000)
    assert isinstance(problem, client.models.Problem)
    assert (problem.status, problem.type_) == (422, f"{PROBLEMS}invalid-input")
    assert {error.pointer for error in problem.errors} == {"/spec/task", "/spec/priority"}


def test_the_quickstart_names_the_running_run(client: GeneratedClient) -> None:
    started = client.call("quickstart.start_task", task="demo.add", args="[1, 2]")
    assert started.status == client.models.TaskOutStatus.PENDING
    second = client.call("quickstart.post_start_task")
    assert (second.type_, second.id) == (f"{PROBLEMS}already-running", started.id)
    assert client.call("quickstart.cancel_task", task_id=started.id).status == "REVOKED"
