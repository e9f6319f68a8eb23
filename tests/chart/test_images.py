"""Images of the pods: digests override tags, and the global registry replaces others."""

from __future__ import annotations

from tests.chart.cases import CASES, DIGEST
from tests.chart.rendered import components, pods
from tests.support.helm import Helm, Manifest


def _images(rendered: list[Manifest]) -> set[str]:
    return {container["image"] for pod in pods(rendered) for container in pod.containers()}


def test_every_image_has_a_tag_other_than_latest(rendered: list[Manifest]) -> None:
    for image in _images(rendered):
        name = image.rpartition("/")[2]
        assert ":" in name, image
        assert not name.endswith((":latest", ":")), image


def test_a_digest_overrides_the_tag_everywhere(helm: Helm) -> None:
    images = _images(helm.template(CASES["digests"]))
    assert all(image.endswith(f"@{DIGEST}") for image in images), images


def test_the_global_registry_applies_to_every_image(helm: Helm) -> None:
    values = {
        **CASES["registry"],
        "workers": {"proj": {"app": "p", "image": {"repository": "team/proj", "tag": "1"}}},
    }
    images = _images(helm.template(values))
    assert all(image.startswith("mirror.example/") for image in images), images
    assert any(image.startswith("mirror.example/valkey/valkey:") for image in images), images


def test_pull_secrets_reach_every_pod(helm: Helm) -> None:
    rendered = helm.template(
        {"imagePullSecrets": [{"name": "b"}], "global": {"imagePullSecrets": [{"name": "a"}]}}
    )
    for pod in pods(rendered):
        names = [entry["name"] for entry in pod.spec["imagePullSecrets"]]
        assert sorted(names) == ["a", "b"], pod.name


def test_the_default_tag_is_the_version_of_the_application(helm: Helm) -> None:
    [operator] = components(helm.template(), "operator")
    version = operator.labels["app.kubernetes.io/version"]
    assert operator.spec["containers"][0]["image"] == f"kelery:{version}"


def test_a_pool_with_its_own_image_gets_the_plug_in_from_kelerys(helm: Helm) -> None:
    pools = components(helm.template(CASES["several-pools"]), "worker")
    [own] = [pod for pod in pools if pod.labels["kelery.dev/pool"] == "proj"]
    [main] = own.spec["containers"]
    assert main["image"] == "registry.example/team/proj:1.4"
    [init] = own.spec["initContainers"]
    assert init["image"].startswith("kelery:")
    filled = {m["name"]: m["mountPath"] for m in init["volumeMounts"] if m["mountPath"] in init["command"]}
    [(volume, _)] = filled.items()
    [mount] = [mount for mount in main["volumeMounts"] if mount["name"] == volume]
    assert mount["readOnly"] is True
    assert mount["mountPath"] in own.variables()["PYTHONPATH"].split(":")
    assert "kelery_worker" in main["command"] + main.get("args", [])
    others = [pod for pod in pools if pod is not own]
    assert all("initContainers" not in pod.spec for pod in others)
