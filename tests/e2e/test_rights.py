"""Compares the parts' requests to the API server with their rights: no right is missing, none is unused.

It reads the audit log of all earlier tests too, and is skipped if there is none. CI's cluster has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.client import Client
from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.release import NAMESPACE, Release
from tests.e2e.settings import Settings
from tests.support.cluster import Cluster


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one kind of object."""

    group: str
    resource: str
    verb: str


@pytest.fixture
def audit_log(settings: Settings) -> Path:
    if settings.audit_log is None:
        pytest.skip("KELERY_E2E_AUDIT_LOG names no audit log of this cluster")
    return settings.audit_log


@pytest.mark.parametrize("part", ["operator", "api"])
def test_rights_and_requests_agree(
    release: Release, client: Client, runs: Cluster, kubectl: Kubectl, audit_log: Path, part: str
) -> None:
    _make_them_use_all(release, client, runs)
    pods = release.pods(part)
    [account] = {pod["spec"]["serviceAccountName"] for pod in pods}
    requests = list(_requests(audit_log, account=account))
    # The last requests of an uninstalled pod may be refused: its rights may be deleted before it ends.
    present = {pod["metadata"]["uid"] for pod in pods}
    refused = [it for it in requests if _pod_of(it) in present and it["responseStatus"].get("code") == 403]
    assert refused == [], refused[:3]
    used = {
        _right(request["objectRef"], verb=request["verb"]) for request in requests if "objectRef" in request
    }
    granted = set(_granted(kubectl, account=account))
    assert used, "the audit log names other accounts"
    assert used - granted == set(), "asked for without a rule of the chart"
    assert granted - used == set(), "granted, and never asked for"


@pytest.mark.parametrize("part", ["worker", "valkey"])
def test_who_needs_nothing_asks_for_nothing(
    release: Release, kubectl: Kubectl, audit_log: Path, part: str
) -> None:
    for pod in release.pods(part):
        mounted = [volume for volume in pod["spec"]["volumes"] if "projected" in volume]
        assert mounted == [], pod["metadata"]["name"]
        account = pod["spec"]["serviceAccountName"]
        assert list(_requests(audit_log, account=account)) == []


def _make_them_use_all(release: Release, client: Client, runs: Cluster) -> None:
    """Cause the operator's and gateway's rare requests: a deletion by TTL, and one by a client."""
    runs.create(name="short-lived", ttlSecondsAfterFinished=1)
    runs.wait_gone("short-lived", seconds=30)
    runs.create(name="unwanted")
    runs.wait_for("unwanted", seconds=20, phase="Succeeded")
    with release.forwarded() as url:
        assert client.ask(url, "DELETE", "/unwanted") == {}
    runs.wait_gone("unwanted", seconds=30)


def _granted(kubectl: Kubectl, *, account: str) -> Iterator[Right]:
    """Every right that a binding grants to the account."""
    for binding in kubectl.items("clusterrolebindings,rolebindings", "--all-namespaces"):
        subjects = binding.get("subjects", [])
        if any(
            subject["kind"] == "ServiceAccount"
            and (subject["namespace"], subject["name"]) == (NAMESPACE, account)
            for subject in subjects
        ):
            reference, namespace = binding["roleRef"], binding["metadata"].get("namespace", NAMESPACE)
            [role] = kubectl.items(reference["kind"].lower(), reference["name"], "-n", namespace)
            for rule in role["rules"]:
                yield from (
                    Right(group=group, resource=resource, verb=verb)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                )


def _right(target: dict[str, str], *, verb: str) -> Right:
    """The right that a request needed."""
    resource = "/".join(filter(None, [target["resource"], target.get("subresource")]))
    return Right(group=target.get("apiGroup", ""), resource=resource, verb=verb)


def _pod_of(request: Object) -> str:
    """The uid of the pod whose token the request had."""
    [uid] = request["user"]["extra"]["authentication.kubernetes.io/pod-uid"]
    return str(uid)


def _requests(audit_log: Path, *, account: str) -> Iterator[Object]:
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    with audit_log.open() as lines:
        for line in lines:
            if user in line:
                event = json.loads(line)
                if event["user"]["username"] == user:
                    yield event
