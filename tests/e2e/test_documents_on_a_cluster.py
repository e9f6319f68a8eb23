"""Runs the documents' commands for a cluster unchanged, except for this cluster's images.

Each document starts on a cluster without Kelery.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kelery_dev.documents.blocks import ON_A_CLUSTER, commands_marked
from kelery_dev.documents.shell import type_into_a_shell
from tests.e2e.kubectl import Kubectl
from tests.e2e.release import Release, write_values
from tests.e2e.settings import Settings
from tests.support.typed_documents import ROOT, TYPED_ON_A_CLUSTER, prints

_NAMESPACE = "kelery"
_CRD = "taskruns.kelery.dev"


@pytest.fixture
def nothing_installed(bare_release: Release, kubectl: Kubectl) -> Iterator[None]:
    """Uninstall the tests' release. Remove everything that the documents create, before and after a test."""
    theirs = replace(bare_release, namespace=_NAMESPACE)

    def remove() -> None:
        kubectl.run("delete", "rolebinding/me", "serviceaccount/me", "-n", "default", "--ignore-not-found")
        if theirs.is_installed():
            theirs.uninstall()
        # Deletion is slow: a stopping worker still tries to reach the deleted Valkey.
        kubectl.run("delete", "namespace", _NAMESPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
        kubectl.run("delete", "crd", _CRD, "--ignore-not-found", "--timeout=60s", timeout=70)

    if bare_release.is_installed():
        bare_release.uninstall()
    remove()
    yield
    remove()


@pytest.mark.parametrize("document", TYPED_ON_A_CLUSTER, ids=lambda document: document.stem)
@pytest.mark.usefixtures("nothing_installed")
def test_its_commands_print_what_it_says(
    document: Path, bare_release: Release, settings: Settings, kubectl: Kubectl, tmp_path: Path
) -> None:
    images = {
        "image": settings.image.values,
        # The tutorial recommends this for a cluster without a StorageClass.
        "redis": {"image": settings.valkey_image.values, "persistence": {"enabled": False}},
    }
    file = write_values(images, tmp_path / "values.json")
    typed = [
        replace(command, line=f"{command.line} --values {file}")
        if command.line.startswith("helm install ")
        else command
        for command in commands_marked(document, ON_A_CLUSTER)
    ]
    # The commands use the tests' Helm and kubectl, and curl uses no proxy for this machine.
    path = os.pathsep.join([str(bare_release.helm.program.parent), os.environ["PATH"]])
    environment = {**kubectl.environment, "PATH": path, "no_proxy": "127.0.0.1"}
    printed = type_into_a_shell(typed, cwd=ROOT, environment=environment)
    for command, output in zip(typed, printed, strict=True):
        assert prints(command.output, actual=output), f"{command.line}\n{output}"
