"""The workflows: pinned actions, least permissions, targets that exist; and what a release checks first.

zizmor and actionlint look for the rest.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
CHECK = ROOT / ".ci" / "release.py"

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def parsed(path: Path) -> dict[Any, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text())
    # YAML 1.1 reads the key `on` as true.
    workflow["on"] = workflow.pop(True)
    return workflow


@each_workflow
def test_an_action_is_pinned_by_commit_and_names_its_version(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(), re.M)
    assert used
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in used if not action.startswith("./") and not pinned.fullmatch(action)] == []


@each_workflow
def test_a_workflow_has_no_permissions_but_those_that_its_jobs_name(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if "permissions" not in job] == []


@each_workflow
def test_only_a_tag_starts_a_job_that_may_write(path: Path) -> None:
    workflow = parsed(path)
    rights = {right for job in workflow["jobs"].values() for right in job["permissions"].values()}
    if "write" in rights:
        assert workflow["on"] == {"push": {"tags": ["v*"]}}


@each_workflow
def test_a_make_target_that_a_workflow_names_exists(path: Path) -> None:
    assert set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", path.read_text())) - TARGETS == set()


def test_a_pull_request_is_checked_and_tested() -> None:
    started = {path.name: parsed(path)["on"] for path in WORKFLOWS}
    assert {name for name, on in started.items() if "pull_request" in on} == {
        "ci.yaml",
        "e2e.yaml",
        "image.yaml",
    }


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("CHANGELOG.md", "## [1.2.3] - unreleased\n\n- Something.\n", "section"),
        ("CHANGELOG.md", "## [1.2.3] - 2026-01-31\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n", "section"),
        ("CHANGELOG.md", "## [Unreleased]\n\n- More.\n\n## [1.2.3] - 2026-01-31\n\n- New.\n", "Unreleased"),
        ("pyproject.toml", '[project]\nversion = "1.2.2"\n', "pyproject.toml: 1.2.2"),
        (
            "charts/kelery/Chart.yaml",
            'version: 1.2.3\nappVersion: "1.2.2"\n',
            "appVersion in Chart.yaml: 1.2.2",
        ),
    ],
)
def test_a_release_is_refused_when_something_names_another_version(
    tmp_path: Path, file: str, text: str, says: str
) -> None:
    _write_a_release(tmp_path)
    (tmp_path / file).write_text(text)
    ran = _check("v1.2.3", tmp_path)
    assert ran.returncode == 1
    assert says in ran.stderr


def test_a_release_is_described_by_its_section_of_the_changelog(tmp_path: Path) -> None:
    _write_a_release(tmp_path)
    assert _check("v1.2.3", tmp_path).stdout == "- New.\n"
    assert _check("1.2.3", tmp_path).returncode == 1


def test_the_check_of_a_release_finds_this_repositorys_version_everywhere() -> None:
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    refusal = _check(f"v{version}", ROOT).stderr
    assert refusal == "" or refusal.startswith("CHANGELOG.md")


def _write_a_release(folder: Path) -> None:
    (folder / "charts" / "kelery").mkdir(parents=True)
    (folder / "charts" / "kelery" / "Chart.yaml").write_text('version: 1.2.3\nappVersion: "1.2.3"\n')
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    changelog = "# Changelog\n\n## [1.2.3] - 2026-01-31\n\n- New.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n"
    (folder / "CHANGELOG.md").write_text(changelog)


def _check(tag: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CHECK, tag], cwd=folder, capture_output=True, text=True, timeout=30
    )
