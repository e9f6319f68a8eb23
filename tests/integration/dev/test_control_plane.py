"""A real control plane: what it serves, who has access, and what it keeps between starts."""

import json
import socket
import ssl
import urllib.request
from pathlib import Path

import psutil

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane

RUN = {
    "apiVersion": "kelery.dev/v1alpha1",
    "kind": "TaskRun",
    "metadata": {"name": "first"},
    "spec": {"task": "demo.add", "args": [1, 2], "kwargs": {"deep": {"value": 1}}},
}


def test_the_crd_is_served_as_soon_as_it_has_started(control_plane: ControlPlane) -> None:
    done = control_plane.kubectl("get", "taskruns.kelery.dev", "--all-namespaces")
    assert done.returncode == 0, done.stderr


def test_the_admission_policy_is_in_force(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "namespace", "policy")
    created = control_plane.kubectl("-n", "policy", "create", "-f", "-", input=json.dumps(RUN))
    assert created.returncode == 0, created.stderr
    patch = json.dumps({"spec": {"kwargs": {"deep": {"value": 2}}}})
    changed = control_plane.kubectl("-n", "policy", "patch", "taskrun", "first", "--type=merge", "-p", patch)
    assert changed.returncode != 0
    assert "spec.kwargs is immutable" in changed.stderr


def test_objects_kubeconfig_and_server_outlive_a_restart_and_a_port_taken_meanwhile_is_replaced(
    control_plane_binaries: Binaries, tmp_path: Path
) -> None:
    with ControlPlane.start(binaries=control_plane_binaries, state_dir=tmp_path) as plane:
        assert plane.kubectl("create", "-f", "-", input=json.dumps(RUN)).returncode == 0
        server, kubeconfig = plane.server, plane.kubeconfig.read_text()
    with ControlPlane.start(binaries=control_plane_binaries, state_dir=tmp_path) as plane:
        assert (plane.server, plane.kubeconfig.read_text()) == (server, kubeconfig)
        got = plane.kubectl("get", "taskrun", "first", "-o", "jsonpath={.spec.args}")
        assert (got.stdout, got.stderr) == ("[1,2]", "")
    port = int(server.rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        ControlPlane.start(binaries=control_plane_binaries, state_dir=tmp_path) as plane,
    ):
        assert plane.server != server
        assert plane.kubectl("get", "taskrun", "first").returncode == 0


def test_a_token_for_an_audience_is_good_for_that_audience_only(control_plane: ControlPlane) -> None:
    assert control_plane.kubectl("create", "serviceaccount", "caller").returncode == 0
    token = control_plane.kubectl("create", "token", "caller", "--audience=kelery").stdout.strip()
    assert token
    assert review(control_plane, token=token, audience="kelery")
    assert not review(control_plane, token=token, audience="another")


def review(control_plane: ControlPlane, *, token: str, audience: str) -> bool:
    """Whether TokenReview accepts a token for an audience."""
    answer = control_plane.access().request(
        "POST",
        path="/apis/authentication.k8s.io/v1/tokenreviews",
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        },
    )
    return bool(answer.body["status"].get("authenticated"))


def test_rbac_decides_for_everyone_but_the_administrator(control_plane: ControlPlane) -> None:
    assert control_plane.kubectl("auth", "can-i", "create", "taskruns.kelery.dev").stdout == "yes\n"
    alice = control_plane.kubectl("auth", "can-i", "create", "taskruns.kelery.dev", "--as=alice")
    assert alice.stdout == "no\n"


def test_its_certificate_stands_a_strict_check(control_plane: ControlPlane) -> None:
    trust = ssl.create_default_context(cafile=str(control_plane.certificate))
    # The default in newer versions of Python.
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    with opener.open(f"{control_plane.server}/readyz", timeout=10) as answer:
        assert answer.status == 200


def test_secrets_are_for_the_owner_and_everything_listens_on_loopback(control_plane: ControlPlane) -> None:
    folder = control_plane.settings.api_server.folder
    for name in ("tokens.csv", "service-account.key", "apiserver.key"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
    assert control_plane.kubeconfig.stat().st_mode & 0o077 == 0
    ours = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name() in ("etcd", "kube-apiserver")
    ]
    assert len(ours) >= 2
    addresses = {
        connection.laddr.ip
        for process in ours
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
