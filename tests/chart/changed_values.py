"""A different value for each value of values.yaml, and contexts in which it changes the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chart.cases import DIGEST, EVERYTHING, FROM, POD_COMMON, TOGGLES

_PASSWORD: dict[str, Any] = {"redis": {"auth": {"existingSecret": {"name": "my-password"}}}}

#: By path, or by the end of a path.
_OTHERS: dict[str, list[Any]] = {
    **{key: [value] for key, value in POD_COMMON.items()},
    "topologySpreadConstraints": [
        [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    ],
    "podSecurityContext": [{"supplementalGroups": [7]}],
    "securityContext": [{"procMount": "Default"}],
    "pullPolicy": ["Always"],
    "digest": [DIGEST, "sha256:" + "cd" * 32],
    "imagePullSecrets": [[{"name": "pull"}], ["pull"]],
    "policy.requireTaskUse": ["off", "label"],
    "scope.mode": ["namespaces"],
    "scope.namespaces": [["team-x"]],
    "broker.url": ["redis://other.example:6379/0"],
    "persistence.size": ["9Gi"],
    "accessModes": [["ReadWriteOncePod"]],
    "redis.config": [{"maxclients": "77"}],
    "listenHost": ["::"],
    "logFormat": ["text"],
    "gateway.auth": ["none"],
    "authDelegator": [False, True],
    "gateway.service.type": ["NodePort"],
    "hosts": [[{"host": "other.example", "paths": [{"path": "/", "pathType": "Prefix"}]}]],
    "tls": [[{"secretName": "other", "hosts": ["other.example"]}]],
    "behavior": [{"scaleDown": {"stabilizationWindowSeconds": 7}}],
    "rbac.aggregateTaskUse": ["edit"],
    "workerDefaults.app": ["other"],
    "code.inline": [{"tasks.py": "x = 1\n"}],
    "pythonPath": [["/app/src"]],
    "queues": [["other"]],
    "extraArgs": [["--without-heartbeat"]],
    "logLevel": ["DEBUG", "WARNING"],
    "workerDefaults.autoscaling.type": ["hpa"],
    "interval": ["77s"],
    "extraRules": [[{"alert": "Mine", "expr": "vector(1)"}]],
    "allowGatewayFrom": [FROM],
    "allowMetricsFrom": [FROM],
    "allowValkeyFrom": [FROM],
    "extraWorkerIngress": [[{"from": FROM}]],
    "apiServerPorts": [[7443]],
    "dnsPorts": [[5353]],
    "brokerPorts": [[7379]],
    "networkPolicy.egress.extra": [[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]],
    "tests.args": [[7]],
    "extraObjects": [
        [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "1"}}]
    ],
}


def at(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A map with only this value at this path."""
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def merged(below: Any, above: Any) -> Any:
    """Merge values in the same way as Helm."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def changed(path: tuple[str, ...], value: object) -> Iterator[object]:
    """Different values that the schema accepts."""
    name = ".".join(path)
    for known, others in _OTHERS.items():
        if name == known or name.endswith(f".{known}"):
            yield from (other for other in others if other != value)
            return
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, dict):
        yield {"example.com/changed": "yes"}
    else:
        yield "changed"


def of_every_pool(context: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """The context with this value set in each pool, including the demo."""
    names = {"default", *context.get("workers", {})}
    return {
        **context,
        "workers": merged(context.get("workers", {}), {name: at(path, value) for name in names}),
    }


#: None of them generates a password, so each always renders the same output.
CONTEXTS: list[dict[str, Any]] = [
    EVERYTHING,
    _PASSWORD,
    TOGGLES["broker-tls"],
    TOGGLES["broker-url"],
    merged(_PASSWORD, TOGGLES["namespaces"]),
    merged(_PASSWORD, TOGGLES["pod-monitor"]),
    merged(_PASSWORD, TOGGLES["several-pools"]),
    merged(_PASSWORD, TOGGLES["worker-budgets"]),
    merged(
        _PASSWORD,
        {"workerDefaults": {"app": "p", "image": {"repository": "p", "tag": "1"}}, "workers": {"more": {}}},
    ),
    merged(TOGGLES["broker-url"], {"networkPolicy": {"egress": {"enabled": True}}}),
    merged(_PASSWORD, {"workerDefaults": {"autoscaling": {"type": "keda"}}}),
]


def contexts_of(path: tuple[str, ...]) -> list[dict[str, Any]]:
    """The contexts, most likely first."""
    if path[-1] in POD_COMMON:
        # EVERYTHING already has the different value.
        return CONTEXTS[1:] + CONTEXTS[:1]
    return CONTEXTS
