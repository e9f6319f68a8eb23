"""Runs the commands in the notes of `helm install`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.kubectl import Kubectl
from tests.e2e.release import NAMESPACE, Release

_MADE = ("serviceaccount/first", "role/first", "rolebinding/first")


@pytest.fixture
def nothing_of_theirs(release: Release, kubectl: Kubectl) -> Iterator[None]:
    def remove() -> None:
        kubectl.run("delete", *_MADE, "-n", NAMESPACE, "--ignore-not-found")
        kubectl.run("delete", "taskruns", "--all", "-n", NAMESPACE)

    remove()
    yield
    remove()


@pytest.mark.usefixtures("nothing_of_theirs")
def test_their_commands_lead_to_two_results(release: Release, kubectl: Kubectl) -> None:
    indented = re.findall(r"^    (.*)$", release.notes(), flags=re.M)
    script = "\n".join([*indented, "status=$?", "kill $!", "exit $status"])
    assert "kubectl create -f -" in script
    assert "curl" in script
    done = subprocess.run(
        ["sh", "-e"],
        input=script,
        env={**kubectl.environment, "no_proxy": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert '"phase":"Succeeded"' in done.stdout
    finished = ("--for=condition=Succeeded", "--timeout=30s")
    kubectl.run("wait", "taskruns", "--all", "-n", NAMESPACE, *finished, timeout=40)
