"""`helm upgrade` and `helm rollback` under load through both APIs."""

from __future__ import annotations

from tests.e2e.figures import Figures
from tests.e2e.kubectl import Kubectl
from tests.e2e.load import Load
from tests.e2e.release import NAMESPACE, Release
from tests.support.polling import poll_until

_NOTE = {"podAnnotations": {"example.com/version": "next"}}
#: Changes every pod template, so that every pod is replaced.
_NEXT = {"gateway": _NOTE, "operator": _NOTE, "workerDefaults": _NOTE, "redis": _NOTE}


def test_all_pods_replaced_and_back_under_load(
    release: Release, load: Load, kubectl: Kubectl, figures: Figures
) -> None:
    password, before = _password(kubectl), _uids(release)
    release.upgrade(_NEXT)
    upgraded = _await_others(release, than=before)
    release.rollback()
    _await_others(release, than=upgraded)
    load.end(what="upgrade and rollback", figures=figures)
    assert _password(kubectl) == password


def _await_others(release: Release, *, than: set[str]) -> set[str]:
    """Wait until no old pod is left. Pods that are being deleted may end their runs."""
    poll_until(
        lambda: not _uids(release) & than,
        seconds=90,
        what="other pods",
        state=lambda: _uids(release),
        every=0.5,
    )
    return _uids(release)


def _password(kubectl: Kubectl) -> str:
    return kubectl.run("get", "secret", "kelery-valkey", "-n", NAMESPACE, "-o", "jsonpath={.data}")


def _uids(release: Release) -> set[str]:
    return {pod["metadata"]["uid"] for pod in release.pods()}
