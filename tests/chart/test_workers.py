"""Worker pools: command line, shutdown, liveness, autoscaling, and code in the values."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.chart.cases import CASES
from tests.chart.rendered import PodTemplate, components, name_of, of_kind, texts
from tests.support.helm import Helm, Manifest


def _pool(rendered: list[Manifest], name: str) -> PodTemplate:
    [pod] = [pod for pod in components(rendered, "worker") if pod.labels["kelery.dev/pool"] == name]
    return pod


def _command(pod: PodTemplate) -> list[str]:
    main = pod.spec["containers"][0]
    return [*(main.get("command") or ()), *(main.get("args") or ())]


def test_a_pool_inherits_what_it_does_not_set(helm: Helm) -> None:
    values = {
        "workerDefaults": {"concurrency": 7, "nodeSelector": {"a": "1"}},
        "workers": {"one": {"app": "x"}, "two": {"app": "y", "concurrency": 2, "nodeSelector": {"b": "2"}}},
    }
    rendered = helm.template(values)
    one, two = _pool(rendered, "one"), _pool(rendered, "two")
    assert _after(_command(one), "-c") == "7"
    assert _after(_command(two), "-c") == "2"
    assert one.spec["nodeSelector"] == {"a": "1"}
    assert two.spec["nodeSelector"] == {"a": "1", "b": "2"}


def test_a_pool_that_is_null_or_disabled_is_not_rendered(helm: Helm) -> None:
    """Nor is any other object of the pool."""
    gone = helm.template(CASES["no-workers"])
    assert [name_of(m) for m in gone if "worker" in m["metadata"]["name"]] == []
    off = helm.template(CASES["workers-switched-off"])
    assert [name_of(m) for m in off if "worker" in m["metadata"]["name"]] == []


def test_null_removes_what_a_pool_would_inherit(helm: Helm) -> None:
    values: dict[str, Any] = {
        "app": "a",
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None},
        "autoscaling": {"type": "hpa", "behavior": {"scaleDown": None}},
    }
    rendered = helm.template({"workers": {"more": values}})
    assert _pool(rendered, "more").spec["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    [hpa] = of_kind(rendered, "HorizontalPodAutoscaler")
    assert "behavior" not in hpa["spec"]


def test_a_pool_can_set_zero_false_and_empty_values(helm: Helm) -> None:
    """Helm's functions for merging maps treat empty values differently."""
    values = {
        "workerDefaults": {"maxTasksPerChild": 5, "queues": ["a"], "pdb": {"enabled": True}},
        "workers": {"default": {"maxTasksPerChild": 0, "queues": [], "pdb": {"enabled": False}}},
    }
    rendered = helm.template(values)
    command = _command(_pool(rendered, "default"))
    assert not {"-Q", "--max-tasks-per-child"} & set(command)
    budgets = {budget["metadata"]["name"] for budget in of_kind(rendered, "PodDisruptionBudget")}
    assert budgets == {"kelery-api"}


def test_a_pool_can_have_zero_replicas(helm: Helm) -> None:
    rendered = helm.template({"workers": {"default": {"replicas": 0}}})
    assert _pool(rendered, "default").owner["spec"]["replicas"] == 0


def test_no_shell_wraps_celery_so_signals_reach_it(rendered: list[Manifest]) -> None:
    for pod in components(rendered, "worker"):
        main = pod.spec["containers"][0]
        assert (main.get("command") or main["args"])[0] not in ("sh", "bash", "/bin/sh", "/bin/bash"), (
            pod.name
        )
        assert "lifecycle" not in main


def test_the_users_own_image_gets_the_flags_of_kelery_worker(helm: Helm) -> None:
    command = _command(_pool(helm.template(CASES["several-pools"]), "proj"))
    assert _after(command, "-A") == "proj"
    assert _after(command, "-I") == "kelery_worker"
    assert _after(command, "-P") == "prefork"
    assert _after(command, "-Q") == "reports,mail"
    for flag in ("--disable-prefetch", "--without-gossip", "--without-mingle"):
        assert flag in command
    assert _after(command, "-O") == "fair"


def test_the_interpreter_can_be_set(helm: Helm) -> None:
    own = {"app": "p", "image": {"repository": "p", "tag": "1"}, "python": "/v/bin/python"}
    command = _command(_pool(helm.template({"workers": {"proj": own}}), "proj"))
    assert command[:3] == ["/v/bin/python", "-m", "celery"]


def test_a_worker_drains_before_it_is_killed(rendered: list[Manifest]) -> None:
    for pod in components(rendered, "worker"):
        drain = float(pod.variables()["KELERY_DRAIN_SECONDS"])
        assert 0 < drain < pod.spec["terminationGracePeriodSeconds"], pod.name


@pytest.mark.parametrize("grace", [2, 10, 20])
def test_a_short_grace_period_still_drains(helm: Helm, grace: int) -> None:
    values: dict[str, Any] = {"workers": {"default": {"terminationGracePeriodSeconds": grace}}}
    pod = _pool(helm.template(values), "default")
    assert 0 < float(pod.variables()["KELERY_DRAIN_SECONDS"]) < grace


def test_liveness_reads_the_heartbeat_file_without_celery(case: str, rendered: list[Manifest]) -> None:
    for pod in components(rendered, "worker"):
        if "livenessProbe" not in pod.spec["containers"][0]:
            assert "liveness" in set(texts(CASES[case])), (
                f"{pod.name} has none, although nobody asked for that"
            )
            continue
        main = pod.spec["containers"][0]
        assert "readinessProbe" not in main
        words = " ".join(main["livenessProbe"]["exec"]["command"])
        assert "inspect" not in words
        file = pod.variables()["KELERY_HEARTBEAT_FILE"]
        assert file in words or "KELERY_HEARTBEAT_FILE" in words
        mounts = [mount for mount in main["volumeMounts"] if file.startswith(f"{mount['mountPath']}/")]
        assert mounts, f"{pod.name}: no volume holds {file}"
        probe = main["livenessProbe"]
        tolerated = probe["periodSeconds"] * probe.get("failureThreshold", 3)
        assert tolerated >= 30, "a single slow check must not kill runs"


def test_code_in_the_values_is_on_pythonpath(helm: Helm) -> None:
    rendered = helm.template(CASES["code-inline"])
    [source] = [m for m in of_kind(rendered, "ConfigMap") if "tasks.py" in (m.get("data") or {})]
    pod = _pool(rendered, "first")
    [volume] = [
        v for v in pod.spec["volumes"] if v.get("configMap", {}).get("name") == source["metadata"]["name"]
    ]
    [mount] = [m for m in pod.spec["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
    assert mount["mountPath"] in pod.variables()["PYTHONPATH"].split(":")


def test_changed_code_restarts_the_pods(helm: Helm) -> None:
    def annotations(source: str) -> dict[str, str]:
        values = {"workers": {"first": {"app": "tasks", "code": {"inline": {"tasks.py": source}}}}}
        return dict(_pool(helm.template(values), "first").metadata["annotations"])

    assert annotations("x = 1\n") != annotations("x = 2\n")


def test_keda_queries_the_gateway_for_each_queue_of_the_pool(helm: Helm) -> None:
    rendered = helm.template(CASES["several-pools"])
    [scaled] = of_kind(rendered, "ScaledObject")
    assert scaled["spec"]["minReplicaCount"] == 0
    triggers = scaled["spec"]["triggers"]
    assert any("mail" in str(trigger["metadata"]) for trigger in triggers)
    assert all(trigger["type"] == "metrics-api" for trigger in triggers)
    host = triggers[0]["metadata"]["url"].split("/")[2].partition(":")[0].split(".")[0]
    assert host in {service["metadata"]["name"] for service in of_kind(rendered, "Service")}


@pytest.mark.parametrize("queue", ["mail", "team/a+b%c&d", "größe", "a?b#c", "1:2;3=4"])
def test_keda_quotes_the_name_of_the_queue(helm: Helm, queue: str) -> None:
    pool = {"queues": [queue], "autoscaling": {"type": "keda"}}
    [scaled] = of_kind(helm.template({"workers": {"default": pool}}), "ScaledObject")
    url = urlsplit(scaled["spec"]["triggers"][0]["metadata"]["url"])
    assert (url.query, url.fragment) == ("", "")
    empty, page, name = url.path.split("/")
    assert (empty, page, unquote(name)) == ("", "queues", queue)


def test_keda_adds_the_queues_of_a_pool(helm: Helm) -> None:
    pool = {"queues": ["a", "b"], "concurrency": 3, "autoscaling": {"type": "keda"}}
    [scaled] = of_kind(helm.template({"workers": {"default": pool}}), "ScaledObject")
    names = [trigger["name"] for trigger in scaled["spec"]["triggers"]]
    together = scaled["spec"]["advanced"]["scalingModifiers"]
    assert len(names) == 2
    assert together == {"formula": " + ".join(names), "target": "3", "metricType": "AverageValue"}


def test_a_pool_can_change_between_hpa_and_keda(helm: Helm) -> None:
    """Helm creates new objects before it deletes old ones, so both autoscalers exist for a moment.

    With one name for both, Helm and KEDA would conflict. KEDA also rejects a workload with another autoscaler
    unless that one has the annotation.
    """
    values: dict[str, Any] = {"workers": {"default": {"autoscaling": {"type": "hpa"}}}}
    [hpa] = of_kind(helm.template(values), "HorizontalPodAutoscaler")
    assert hpa["metadata"]["annotations"]["validations.keda.sh/hpa-ownership"] == "false"
    values["workers"]["default"]["autoscaling"]["type"] = "keda"
    [scaled] = of_kind(helm.template(values), "ScaledObject")
    made_by_keda = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    assert made_by_keda.get("name") != hpa["metadata"]["name"]


def _after(command: list[str], flag: str) -> str:
    for word in command:
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    long = {"-c": "--concurrency", "-Q": "--queues", "-A": "--app"}.get(flag, flag)
    return command[command.index(flag if flag in command else long) + 1]
