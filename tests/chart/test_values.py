"""values.yaml and its schema: each value is documented and used, and an invalid value is rejected."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.chart.changed_values import CONTEXTS, at, changed, contexts_of, merged, of_every_pool
from tests.chart.rendered import leaves
from tests.support.helm import CHART, CLUSTER_OPTIONS, Helm

VALUES = CHART / "values.yaml"
#: Maps of the Kubernetes API, which the API server checks.
_OF_THE_API = {"podSecurityContext", "securityContext", "behavior"}


def _values() -> Iterator[tuple[tuple[str, ...], object]]:
    """The path and the default of each value."""
    everything = yaml.safe_load(VALUES.read_text())
    for path, value in leaves(everything):
        typed = [depth for depth, key in enumerate(path) if key in _OF_THE_API]
        if typed:
            short = path[: typed[0] + 1]
            yield short, reduce(lambda inner, key: inner[key], short, everything)
        else:
            yield path, value


LEAVES = dict(_values())
#: The keys of a pool, from `workerDefaults`.
OF_POOLS = {path[1:]: value for path, value in LEAVES.items() if path[0] == "workerDefaults"}
#: All pools share one account, so these are not keys of a pool.
_OF_ALL_POOLS = {"serviceAccount.create", "serviceAccount.annotations"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    content = json.loads((CHART / "values.schema.json").read_text())
    assert isinstance(content, dict)
    return content


@pytest.mark.parametrize(
    "share",
    [20, pytest.param(1, marks=[pytest.mark.thorough, pytest.mark.timeout(600)])],
    ids=["some", "all"],
)
def test_every_value_is_used(helm: Helm, share: int) -> None:
    """Render each with a different value until the output changes: a twentieth of the values, or all."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    paths = random.Random(seed).sample(list(LEAVES), k=len(LEAVES) // share)
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = pool.map(lambda path: _shows(helm, path), paths)
        assert [".".join(path) for path, shows in zip(paths, verdicts, strict=True) if not shows] == []


def test_a_pool_accepts_the_keys_of_worker_defaults(schema: dict[str, Any]) -> None:
    """Users set in `workers.<name>` what `workerDefaults` accepts."""
    validator = Draft7Validator(schema)
    refused = {
        ".".join(path)
        for path, value in OF_POOLS.items()
        if not validator.is_valid(of_every_pool({}, path, value))
    }
    assert refused == _OF_ALL_POOLS


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_every_value_of_a_pool_is_used(helm: Helm) -> None:
    taken = [path for path in OF_POOLS if ".".join(path) not in _OF_ALL_POOLS]
    with ThreadPoolExecutor(max_workers=2) as pool:
        verdicts = pool.map(lambda path: _shows_in_a_pool(helm, path), taken)
        assert [".".join(path) for path, shows in zip(taken, verdicts, strict=True) if not shows] == []


def test_every_value_has_a_comment_above_it() -> None:
    bare = [".".join(path) for path, comment in _comments(VALUES) if not comment.startswith("# -- ")]
    assert bare == []


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_every_value_is_in_the_readme(path: tuple[str, ...]) -> None:
    # The user names the pools; `workerDefaults` documents them.
    name = "workers" if path[0] == "workers" else ".".join(path)
    assert f"| `{name}` |" in (CHART / "README.md").read_text()


@pytest.mark.parametrize(
    "file", [None, *sorted((CHART / "ci").glob("*-values.yaml"))], ids=lambda file: file.name if file else ""
)
def test_helm_lint_has_no_warnings(helm: Helm, file: Path | None) -> None:
    done = helm.run("lint", "--strict", CHART, "--kube-version", "1.36.0", *(("-f", file) if file else ()))
    assert done.returncode == 0, done.stdout


def test_the_schema_is_valid_and_accepts_the_defaults(schema: dict[str, Any], default_values: Any) -> None:
    assert schema["$schema"].startswith("http://json-schema.org/draft-07/schema")
    Draft7Validator.check_schema(schema)
    assert list(Draft7Validator(schema).iter_errors(default_values)) == []


def test_an_unknown_key_is_refused_at_every_level(schema: dict[str, Any], default_values: Any) -> None:
    validator = Draft7Validator(schema)
    maps = {path[:depth] for path in LEAVES for depth in range(len(path))}
    # `global` also holds values of a parent chart; the user names the pools.
    free = {("global",), ("workers",)}
    for path in sorted(maps - free):
        typo = merged(default_values, at((*path, "typo"), 1))
        assert not validator.is_valid(typo), f"{'.'.join(path)} accepts an unknown key"


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_a_value_of_the_wrong_type_is_refused(
    schema: dict[str, Any], default_values: Any, path: tuple[str, ...]
) -> None:
    wrong: object = [{"a": 1}] if isinstance(LEAVES[path], dict) else {"a": {"b": 1}}
    if isinstance(LEAVES[path], list):
        wrong = 7
    assert not Draft7Validator(schema).is_valid(merged(default_values, at(path, wrong)))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"crds": {"kep": False}}, "kep"),
        ({"worker": {}}, "worker"),
        ({"workers": {"default": {"replica": 2}}}, "replica"),
        ({"workers": {"Not_A_Name": {"app": "a"}}}, "Not_A_Name"),
        ({"scope": {"mode": "clutser"}}, "mode"),
        ({"leaseSeconds": 1}, "leaseSeconds"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"gateway": {"replicas": "two"}}, "replicas"),
        ({"policy": {"requireTaskUse": "always"}}, "requireTaskUse"),
        ({"workers": {"default": {"autoscaling": {"type": "cpu"}}}}, "type"),
        ({"workers": {"default": {"serviceAccount": {"create": False}}}}, "create"),
        ({"listenHost": "[::]"}, "listenHost"),
    ],
    ids=str,
)
def test_helm_names_the_invalid_value(helm: Helm, values: dict[str, Any], named: str) -> None:
    message = helm.refusal(values)
    assert "values don't meet the specifications of the schema" in message
    assert named in message


@pytest.mark.parametrize(
    ("values", "named_value"),
    [
        ({"scope": {"mode": "namespaces"}}, "authDelegator"),
        ({"redis": {"enabled": False}}, "broker"),
        ({"workers": {"nothing": {}}}, "app"),
        ({"workers": {"a": {"app": "a", "drainSeconds": 700}}}, "drainSeconds"),
        ({"gateway": {"ingress": {"enabled": True}}}, "gateway.ingress.hosts"),
        (
            {"gateway": {"autoscaling": {"enabled": True, "minReplicas": 7}}},
            "gateway.autoscaling.minReplicas",
        ),
        ({"gateway": {"serviceAccount": {"create": False}}}, "gateway.serviceAccount.name"),
        ({"operator": {"serviceAccount": {"create": False}}}, "operator.serviceAccount.name"),
        (
            {"scope": {"mode": "namespaces"}, "gateway": {"enabled": False, "namespace": "elsewhere"}},
            "gateway.namespace=elsewhere",
        ),
    ],
    ids=[
        "reviews",
        "no-redis",
        "no-app",
        "drain-beyond-grace",
        "ingress-of-no-host",
        "gateway-min-above-max",
        "rights-for-the-default-account",
        "rights-for-the-default-account-by-the-operator",
        "home-outside-the-scope",
    ],
)
def test_conflicting_values_are_refused_with_a_message(
    helm: Helm, values: dict[str, Any], named_value: str
) -> None:
    message = helm.refusal(values)
    assert named_value in message
    assert "nil pointer" not in message


def test_the_users_own_accounts_need_a_name_only_for_permissions(helm: Helm) -> None:
    bare: dict[str, Any] = {"serviceAccount": {"create": False}}
    assert helm.template({"rbac": {"create": False}, "gateway": bare, "operator": bare})
    assert helm.template({"gateway": {**bare, "enabled": False}})


def _shows(helm: Helm, path: tuple[str, ...]) -> bool:
    """Whether a different value changes Helm's output in any context."""
    return any(
        _makes_a_difference(helm, merged(context, at(path, value)), plain=context)
        for context in contexts_of(path)
        for value in changed(path, LEAVES[path])
    )


def _shows_in_a_pool(helm: Helm, path: tuple[str, ...]) -> bool:
    """The same for a value set in each pool."""
    whole = ("workerDefaults", *path)
    return any(
        _makes_a_difference(helm, of_every_pool(context, path, value), plain=context)
        for context in CONTEXTS
        for value in changed(whole, LEAVES[whole])
    )


def _makes_a_difference(helm: Helm, values: dict[str, Any], *, plain: dict[str, Any]) -> bool:
    done = helm.run("template", "kelery", CHART, *CLUSTER_OPTIONS, values=values)
    if done.returncode == 0:
        return done.stdout != _plain(helm, plain)
    # A template read the value and reported a conflict.
    return "execution error at (kelery/templates/validate.yaml" in done.stderr


_PLAIN: dict[str, str] = {}


def _plain(helm: Helm, context: dict[str, Any]) -> str:
    key = json.dumps(context, sort_keys=True)
    if key not in _PLAIN:
        done = helm.run("template", "kelery", CHART, *CLUSTER_OPTIONS, values=context)
        assert done.returncode == 0, done.stderr
        _PLAIN[key] = done.stdout
    return _PLAIN[key]


def _comments(file: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path of each value, and the comment above it."""
    lines = file.read_text().splitlines()

    def walk(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        assert isinstance(node, yaml.MappingNode)
        for key, value in node.value:
            here = (*path, key.value)
            block = isinstance(value, yaml.MappingNode) and not value.flow_style
            if block and here[:2] != ("workers", "default"):
                yield from walk(value, here)
            elif not block:
                yield here, lines[key.start_mark.line - 1].strip()

    root = yaml.compose(file.read_text())
    assert root is not None
    yield from walk(root, ())
