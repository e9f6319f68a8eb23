"""A cluster of one node that the tests may fill and break. They remove what they create.

Fixtures last for the session. A test that uses `release` gets it installed with the tests' values and ready,
whatever the test before did to it. So each test can run alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from kelery.kube.sync_session import SyncSession
from kelery_dev.chart.helm_program import find_helm
from tests.e2e import volumes
from tests.e2e.client import Client
from tests.e2e.figures import Figures
from tests.e2e.journal import Journal
from tests.e2e.kubectl import Kubectl
from tests.e2e.load import Load
from tests.e2e.moves import Moves
from tests.e2e.node import Node
from tests.e2e.pod_logs import PodLogs, write_state
from tests.e2e.release import NAMESPACE, Release, values_of
from tests.e2e.rest_pod import RestPod
from tests.e2e.settings import Settings, SettingsError, logs_folder
from tests.support.cluster import Cluster, Watcher
from tests.support.helm import Helm

#: The users' namespace. The release's own namespace has no runs.
RUNS = "kelery-e2e-runs"
_ALL = (NAMESPACE, RUNS, "kelery-e2e-team", "kelery")
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_KINDS_OF_THE_CLUSTER = (
    "customresourcedefinitions,validatingadmissionpolicies,validatingadmissionpolicybindings"
)
_KEEP = bool(os.environ.get("KELERY_E2E_KEEP"))
_figures = Figures()

Report = Generator[None, pytest.TestReport, pytest.TestReport]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the test of an empty cluster first. Raise the timeout: a step may wait for a grace period."""
    items.sort(key=lambda item: item.path.stem != "test_install")
    for item in items:
        item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def settings() -> Settings:
    try:
        return Settings.read()
    except SettingsError as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="session")
def kubectl(settings: Settings) -> Kubectl:
    """kubectl for the cluster, which must not have another installation of Kelery."""
    kubectl = Kubectl(kubeconfig=settings.kubeconfig)
    nodes = kubectl.items("nodes")
    assert len(nodes) == 1, "the tests' folder on the node cannot be shared: the cluster must have one node"
    crd, ours = kubectl.attempt("get", "crd", "taskruns.kelery.dev"), kubectl.attempt("get", "ns", NAMESPACE)
    if crd.returncode == 0 and ours.returncode != 0:
        pytest.exit("there is a Kelery in this cluster that is not the tests' own; they would break it", 2)
    return kubectl


@pytest.fixture(scope="session")
def node(kubectl: Kubectl, settings: Settings) -> Iterator[Node]:
    node = Node.reach(kubectl, image=settings.image)
    yield node
    if not _KEEP:
        node.leave()


@pytest.fixture(scope="session")
def figures() -> Figures:
    return _figures


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements, for people and for CI's log."""
    if _figures.lines:
        terminalreporter.section("figures")
        for line in _figures.lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def bare_release(
    kubectl: Kubectl,
    node: Node,
    runs: Cluster,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Release]:
    """The release, possibly not installed, with namespaces and volumes. All are removed after the session.

    With KELERY_E2E_KEEP they stay, for debugging and for the next session.
    """
    for namespace in (NAMESPACE, RUNS):
        metadata = {"name": namespace, "labels": _RESTRICTED if namespace == NAMESPACE else {}}
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    volumes.prepare(kubectl, node)
    runs.delete_all()
    Journal.clear(node)
    helm = Helm(
        program=find_helm(),
        home=tmp_path_factory.mktemp("helm"),
        kubeconfig=settings.kubeconfig,
        seconds=200,
    )
    release = Release(helm=helm, kubectl=kubectl, values=values_of(settings))
    logs = PodLogs(kubectl, namespaces=_ALL, folder=settings.logs / "pods")
    yield release
    logs.stop()
    if _KEEP:
        return
    if release.is_installed():
        release.uninstall()
    for namespace in (RUNS, NAMESPACE):
        kubectl.run("delete", "namespace", namespace, "--timeout=120s", timeout=130)
    kubectl.run(
        "delete", _KINDS_OF_THE_CLUSTER, "-l", "app.kubernetes.io/name=kelery", "--timeout=60s", timeout=70
    )
    volumes.remove(kubectl)


@pytest.fixture
def release(bare_release: Release) -> Release:
    """The release, installed and ready."""
    bare_release.ensure()
    return bare_release


@pytest.fixture(scope="session")
def runs(settings: Settings) -> Cluster:
    """The TaskRuns of the users' namespace."""
    return Cluster(SyncSession.from_kubeconfig(settings.kubeconfig), namespace=RUNS)


@pytest.fixture(scope="session")
def client(bare_release: Release, kubectl: Kubectl) -> Client:
    """A gateway client for runs of the demo's tasks."""
    return Client.make(kubectl, namespace=RUNS, tasks=["demo.add", "demo.hello"])


@pytest.fixture
def watcher(release: Release, runs: Cluster) -> Iterator[Watcher]:
    """Watches every change of the users' runs."""
    with runs.watched() as watcher:
        yield watcher


@pytest.fixture
def load(
    release: Release, runs: Cluster, watcher: Watcher, node: Node, kubectl: Kubectl, settings: Settings
) -> Iterator[Load]:
    """Sends runs through both APIs while the test breaks parts."""
    rest = RestPod.start(kubectl, namespace=RUNS, image=settings.image)
    load = Load(moves=Moves(runs), rest=rest, watcher=watcher, node=node)
    yield load
    load.abandon()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Report:
    """After a failed test, write the cluster's state next to the pods' logs."""
    report = yield
    if report.failed and call.when in ("setup", "call"):
        logs = logs_folder()
        kubectl = Kubectl(kubeconfig=Path(os.environ.get("KUBECONFIG", "")))
        write_state(kubectl, logs / item.name, namespaces=_ALL)
        item.config.stash[_FAILED] = True
        report.sections.append(("logs", f"the pods' logs and the cluster's state are in {logs.resolve()}"))
    return report


_FAILED = pytest.StashKey[bool]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the logs if no test failed."""
    if not session.config.stash.get(_FAILED, False):
        shutil.rmtree(logs_folder(), ignore_errors=True)
