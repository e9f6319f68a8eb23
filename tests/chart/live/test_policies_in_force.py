"""The API server accepts and enforces the admission policies of a release."""

from __future__ import annotations

import json
from subprocess import CompletedProcess

import pytest

from tests.chart.live_release import LiveRelease
from tests.support.polling import poll_until


def _create(release: LiveRelease, name: str, *options: str) -> CompletedProcess[str]:
    run = {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": name},
        "spec": {"task": "demo.add", "args": [1]},
    }
    place = ("-n", release.namespace, "-f", "-")
    return release.plane.kubectl("create", *place, *options, input=json.dumps(run))


def test_arguments_cannot_be_changed(release: LiveRelease) -> None:
    release.install()
    made = _create(release, "one")
    assert made.returncode == 0, made.stderr

    def refused() -> bool:
        change = json.dumps({"spec": {"args": [2]}})
        done = release.plane.kubectl(
            "patch",
            "taskrun",
            "one",
            "-n",
            release.namespace,
            "--type=merge",
            "-p",
            change,
            "--dry-run=server",
        )
        return "spec.args is immutable" in done.stderr

    poll_until(refused, seconds=30, every=0.2, what="the policy to be in force")


@pytest.mark.parametrize(("where", "asked"), [("everywhere", True), ("label", False)])
def test_the_use_verb_is_required_where_the_value_says(release: LiveRelease, where: str, asked: bool) -> None:
    release.install({"policy": {"requireTaskUse": where}})
    # A user who can create TaskRuns, but does not have `use` on any task.
    allowed = release.plane.kubectl(
        "create",
        "role",
        "creator",
        "--verb=create",
        "--resource=taskruns.kelery.dev",
        "-n",
        release.namespace,
    )
    assert allowed.returncode == 0, allowed.stderr
    release.plane.kubectl(
        "create", "rolebinding", "creator", "--role=creator", "--user=somebody", "-n", release.namespace
    )

    def answer() -> str:
        return _create(release, "two", "--dry-run=server", "--as=somebody").stderr

    if asked:
        poll_until(lambda: "you are not allowed to run" in answer(), seconds=30, every=0.2, what="a refusal")
    else:
        poll_until(lambda: answer() == "", seconds=30, every=0.2, what="the role to be in force")
