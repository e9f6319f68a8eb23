"""The commands of the documents, typed: an own app, `kelery dev`, kubectl and curl."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kelery_dev.control_plane.binaries import Binaries
from tests.integration.demo.running_stack import running_stack
from tests.support.document_blocks import ROOT, Block, commands, marked_blocks, prints, type_into_a_shell
from tests.support.marked_processes import Marked

README = ROOT / "README.md"
GATEWAY = ROOT / "docs" / "reference" / "rest-api.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that the README shows, and `.venv` in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    for block in marked_blocks(README):
        if block.mark.startswith("file: "):
            (folder / block.mark.removeprefix("file: ")).write_text(block.text)
    return folder


@pytest.fixture
def stack(project: Path, environment: dict[str, str], marked: Marked) -> Iterator[None]:
    """`kelery dev` as the README starts it; only the port, which others may use, is another."""
    [block] = [block for block in marked_blocks(README) if block.mark == "run: in the background"]
    [command] = commands(block)
    with running_stack(command.line.split(), folder=project, environment=environment):
        yield
    assert marked.names() == []


@pytest.mark.usefixtures("stack")
def test_a_newcomers_commands_print_what_the_documents_say(
    project: Path, environment: dict[str, str], control_plane_binaries: Binaries
) -> None:
    assert shutil.which("curl"), "this test types curl commands: install curl"
    # One after the other, in one shell.
    both = [block for document in (README, GATEWAY) for block in marked_blocks(document)]
    blocks: list[Block] = [block for block in both if block.mark == "run"]
    typed = [command for block in blocks for command in commands(block)]
    assert len(typed) > 30
    typist = {
        **environment,
        # `.kelery/env` brings a kubectl only to those who have none.
        "PATH": f"{control_plane_binaries.folder}:{environment['PATH']}",
        # Unlike kubectl, curl would send even this to a proxy of the environment.
        "no_proxy": "127.0.0.1",
    }
    outputs = type_into_a_shell(typed, cwd=project, environment=typist)
    for command, output in zip(typed, outputs, strict=True):
        assert prints(command.output, actual=output), f"$ {command.line}\n{output}"


def test_the_readmes_task_code_works_outside_of_a_run_too(project: Path) -> None:
    code = "import pages; print(pages.count(3))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "None\n"
