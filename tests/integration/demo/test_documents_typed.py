"""Runs the documents' commands: a user's app, `kelery dev`, kubectl and curl."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.documents.blocks import IN_THE_BACKGROUND, TYPED, commands_marked, write_files
from kelery_dev.documents.shell import type_into_a_shell
from tests.integration.demo.running_stack import running_stack
from tests.support.marked_processes import Marked
from tests.support.typed_documents import LAPTOP, TYPED_IN_ORDER, prints


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the documents' files and a `.venv`."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    write_files(TYPED_IN_ORDER, folder=folder)
    return folder


@pytest.fixture
def stack(project: Path, environment: dict[str, str], marked: Marked) -> Iterator[None]:
    """`kelery dev` as the tutorial starts it, but on a free port."""
    [command] = commands_marked(LAPTOP, IN_THE_BACKGROUND)
    with running_stack(command.line.split(), folder=project, environment=environment):
        yield
    assert marked.names() == []


@pytest.mark.usefixtures("stack")
def test_a_newcomers_commands_print_what_the_documents_say(
    project: Path, environment: dict[str, str], control_plane_binaries: Binaries
) -> None:
    assert shutil.which("curl"), "this test types curl commands: install curl"
    # In this order, in one shell.
    typed = [
        (document, command) for document in TYPED_IN_ORDER for command in commands_marked(document, *TYPED)
    ]
    assert len(typed) > 45
    typist = {
        **environment,
        # `.kelery/env` adds a kubectl only if there is none.
        "PATH": f"{control_plane_binaries.folder}:{environment['PATH']}",
        # Unlike kubectl, curl would send requests to 127.0.0.1 to the environment's proxy.
        "no_proxy": "127.0.0.1",
    }
    outputs = type_into_a_shell([command for _, command in typed], cwd=project, environment=typist)
    for (document, command), output in zip(typed, outputs, strict=True):
        assert prints(command.output, actual=output), f"{document.name}: $ {command.line}\n{output}"


def test_the_documents_task_code_works_outside_of_a_run_too(project: Path) -> None:
    code = "import pages; print(pages.count(3))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "None\n"
