"""The environment of the pods: the programs' settings accept it, and it equals the values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kelery_api.cli import api
from kelery_api.settings import ApiSettings, Auth, api_settings
from kelery_operator.cli import operator
from kelery_operator.settings import OperatorSettings, operator_settings
from kelery_worker.settings import for_worker
from tests.chart.cases import CASES
from tests.chart.rendered import PodTemplate, components, pods, texts
from tests.support.helm import NAMESPACE, Helm, Manifest
from tests.support.settings_values import settings_values

ROOT = Path(__file__).parents[2]
SOURCES = [*ROOT.glob("core/**/*.py"), *ROOT.glob("api/**/*.py"), *ROOT.glob("operator/**/*.py")]
READ = {
    name
    for file in [*SOURCES, *ROOT.glob("worker/**/*.py"), *ROOT.glob("charts/kelery/scripts/*.py")]
    for name in re.findall(r"KELERY_[A-Z_]+", file.read_text())
}
#: A placeholder for values from Secrets.
URL = "redis://:word@redis.example:6379/0"
SHARED = {
    "prefix": "other",
    "defaultQueue": "work",
    "leaseSeconds": 30,
    "brokerKeyPrefix": "app:",
    "logFormat": "text",
}


def _environment(pod: PodTemplate) -> dict[str, str]:
    """The variables as the container sees them."""
    return {name: URL if isinstance(v, dict) or "$(" in v else v for name, v in pod.variables().items()}


def _of_operator(pod: PodTemplate) -> OperatorSettings:
    return operator_settings(settings_values(operator, _environment(pod)))


def _of_gateway(pod: PodTemplate) -> ApiSettings:
    return api_settings(settings_values(api, _environment(pod)))


def _operator(helm: Helm, values: dict[str, Any]) -> OperatorSettings:
    [pod] = components(helm.template(values), "operator")
    return _of_operator(pod)


def _gateway(helm: Helm, values: dict[str, Any]) -> ApiSettings:
    [pod] = components(helm.template(values), "api")
    return _of_gateway(pod)


def test_a_program_reads_every_variable(rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        for container in pod.containers():
            entries = container.get("env") or ()
            told = {entry["name"] for entry in entries if entry["name"].startswith("KELERY_")}
            put_into_others = set(re.findall(r"\$\((\w+)\)", " ".join(texts(entries))))
            assert told - READ - put_into_others == set(), pod.name


def test_the_programs_accept_their_environment(rendered: list[Manifest]) -> None:
    for pod in components(rendered, "operator"):
        listening = _of_operator(pod).health_address
        assert listening.host in ("0.0.0.0", "::")
        assert listening.port == 8081
    for pod in components(rendered, "api"):
        gateway = _of_gateway(pod)
        assert not gateway.address.is_loopback
        assert gateway.metrics_address is not None
        assert not gateway.metrics_address.is_loopback
    for pod in components(rendered, "worker"):
        for_worker(_environment(pod), broker_url=None)


def test_all_components_use_the_same_ledger(helm: Helm) -> None:
    operator, gateway = _operator(helm, SHARED), _gateway(helm, SHARED)
    workers = [
        for_worker(_environment(pod), broker_url=None) for pod in components(helm.template(SHARED), "worker")
    ]
    assert workers
    for ledger in (operator.ledger, gateway.ledger, *workers):
        assert (ledger.prefix, ledger.lease.seconds) == ("other", 30)
    # The submitter names the queue; a worker uses the queue of the run's record.
    assert {operator.ledger.default_queue, gateway.ledger.default_queue} == {"work"}
    assert {operator.ledger.broker_key_prefix, gateway.ledger.broker_key_prefix} == {"app:"}
    assert {operator.log_format, gateway.log_format} == {"text"}


def test_the_operators_values_reach_it(helm: Helm) -> None:
    settings = _operator(helm, {"clusterId": "prod-1", "operator": {"defaultTtlSeconds": 60}})
    assert (settings.cluster_id, settings.default_ttl_seconds) == ("prod-1", 60)
    assert settings.namespaces == ()


def test_the_gateways_values_reach_it(helm: Helm) -> None:
    own = {"namespace": "team-a", "startTask": "proj.report", "startKey": "k", "retainSeconds": 7}
    settings = _gateway(helm, {"gateway": own})
    assert (settings.namespace, settings.start_task, settings.start_key) == ("team-a", "proj.report", "k")
    assert settings.retain_seconds == 7
    assert settings.auth is Auth.KUBERNETES
    assert _gateway(helm, {}).namespace == NAMESPACE


def test_authentication_can_be_disabled(helm: Helm) -> None:
    assert _gateway(helm, CASES["auth-none"]).auth is Auth.NONE


def test_large_numbers_stay_whole(helm: Helm) -> None:
    """Helm reads numbers as floating point, and prints large ones with an exponent."""
    values = {"operator": {"defaultTtlSeconds": 31536000}, "gateway": {"retainSeconds": 31536000}}
    [operator], [gateway] = (components(helm.template(values), name) for name in ("operator", "api"))
    assert operator.variables()["KELERY_DEFAULT_TTL_SECONDS"] == "31536000"
    assert gateway.variables()["KELERY_API_RETAIN_SECONDS"] == "31536000"


@pytest.mark.parametrize(("value", "written"), [("0.0.0.0", "0.0.0.0"), ("::", "[::]")])
def test_operator_and_gateway_listen_on_the_given_host(helm: Helm, value: str, written: str) -> None:
    rendered = helm.template({"listenHost": value})
    [operator], [gateway] = components(rendered, "operator"), components(rendered, "api")
    assert operator.variables()["KELERY_OPERATOR_HEALTH_ADDR"] == f"{written}:8081"
    assert _of_operator(operator).health_address.host == value
    settings = _of_gateway(gateway)
    assert str(settings.address) == f"{written}:8000"
    assert str(settings.metrics_address) == f"{written}:8001"


def test_ports_and_probes_match_the_programs_addresses(helm: Helm) -> None:
    rendered = helm.template()
    [operator], [gateway] = components(rendered, "operator"), components(rendered, "api")
    health = _operator(helm, {}).health_address.port
    metrics = _gateway(helm, {}).metrics_address
    assert metrics
    for pod, port in ((operator, health), (gateway, metrics.port)):
        [container] = pod.spec["containers"]
        named = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            asked = container[probe]["httpGet"]
            assert asked["path"] == path
            assert named.get(asked["port"], asked["port"]) == port


def test_a_users_variable_replaces_the_charts(helm: Helm) -> None:
    """The API server rejects nothing here: it silently keeps the last of two entries with one name."""
    values = {"operator": {"extraEnv": [{"name": "KELERY_LOG_FORMAT", "value": "text"}]}}
    [pod] = components(helm.template(values), "operator")
    names = [entry["name"] for entry in pod.spec["containers"][0]["env"]]
    assert names.count("KELERY_LOG_FORMAT") == 1
    assert pod.variables()["KELERY_LOG_FORMAT"] == "text"
