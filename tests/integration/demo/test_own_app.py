"""`kelery dev` with a user's app that is less simple than the README's."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.demo.running_stack import running_stack
from tests.support.marked_processes import Marked

APP = """\
from celery import Celery

app = Celery("proj", broker="redis://elsewhere:6379/0")
app.conf.task_default_queue = "proj-default"


@app.task(name="proj.add")
def add(x, y):
    return x + y
"""
RUN = """\
apiVersion: kelery.dev/v1alpha1
kind: TaskRun
metadata: {name: no-queue}
spec: {task: proj.add, args: [1, 2]}
"""


@pytest.fixture
def kelery_dev(tmp_path: Path, environment: dict[str, str], marked: Marked) -> Iterator[Path]:
    """The state directory of a stack with that app."""
    (tmp_path / "proj.py").write_text(APP)
    command = [sys.executable, "-m", "kelery", "dev", "--app", "proj"]
    with running_stack(command, folder=tmp_path, environment=environment):
        yield tmp_path / ".kelery"


def test_a_run_without_a_queue_goes_to_the_apps_own_default_queue(
    kelery_dev: Path, environment: dict[str, str]
) -> None:
    commands = (
        f". {kelery_dev}/env && $KUBEBUILDER_ASSETS/kubectl create -f -"
        " && $KUBEBUILDER_ASSETS/kubectl wait taskrun no-queue --for=condition=Succeeded --timeout=30s"
    )
    ran = subprocess.run(
        ["sh", "-c", commands], input=RUN, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
