"""After a successful `helm test` nothing is left; after a failed one the pod stays for its log.

The control plane has no kubelet, so the tests set the phase of the pod.
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chart.live_release import LiveRelease
from tests.support.polling import poll_until

#: The account and the permissions of the pod.
_ITS_RIGHTS = "serviceaccounts,roles,rolebindings"


def _helm_test(release: LiveRelease, *, phase: str) -> subprocess.CompletedProcess[str]:
    """Run `helm test` with a pod that ends in this phase."""
    place = ("--namespace", release.namespace)
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(release.helm.run, "test", release.name, *place, "--timeout", "60s")
        poll_until(lambda: release.get("pod", "kelery-test"), seconds=30, every=0.1, what="its pod")
        ended = json.dumps({"status": {"phase": phase}})
        patched = release.plane.kubectl(
            "patch", "pod", "kelery-test", *place, "--subresource=status", "--type=merge", "-p", ended
        )
        assert patched.returncode == 0, patched.stderr
        return running.result()


def _left(release: LiveRelease) -> set[str]:
    found = release.get(f"pods,{_ITS_RIGHTS}")
    return {m["kind"] for m in found if m["metadata"]["name"] == "kelery-test"}


@pytest.mark.parametrize(("phase", "left"), [("Succeeded", set()), ("Failed", {"Pod"})])
def test_the_pod_stays_only_after_a_failure(release: LiveRelease, phase: str, left: set[str]) -> None:
    release.install()
    done = _helm_test(release, phase=phase)
    assert (done.returncode == 0) is (phase == "Succeeded"), done.stderr
    # An older Helm 3 would also leave the account and the permissions.
    assert _left(release) == left


def test_the_next_helm_test_replaces_a_leftover_pod(release: LiveRelease) -> None:
    release.install()
    assert _helm_test(release, phase="Failed").returncode != 0
    [old] = release.get("pod", "kelery-test")
    place = ("--namespace", release.namespace)
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(release.helm.run, "test", release.name, *place, "--timeout", "10s")

        def another() -> bool:
            found = release.get("pod", "kelery-test")
            return bool(found) and found[0]["metadata"]["uid"] != old["metadata"]["uid"]

        poll_until(another, seconds=10, every=0.1, what="another pod")
        running.result()
