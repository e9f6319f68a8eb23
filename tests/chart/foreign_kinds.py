"""Schemas of the kinds of KEDA and the Prometheus operator, limited to the fields that the chart can use.

The schemas are strict: an unlisted field is an error. Check the CRD before you add one.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
ANY_LIST: Schema = {"type": "array"}
ANY_MAP: Schema = {"type": "object"}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}


def _map(required: str = "", **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _list(items: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _kind(spec: Schema) -> Schema:
    metadata = _map("name", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
    return _map("spec", apiVersion=TEXT, kind=TEXT, metadata=metadata, spec=spec)


_SELECTOR = _map(matchLabels=TEXTS, matchExpressions=ANY_LIST)
_ENDPOINT = _map(
    "port",
    port=TEXT,
    path=TEXT,
    scheme=TEXT,
    interval=DURATION,
    scrapeTimeout=DURATION,
    honorLabels={"type": "boolean"},
    relabelings=ANY_LIST,
    metricRelabelings=ANY_LIST,
    authorization=ANY_MAP,
    tlsConfig=ANY_MAP,
)
_MONITOR = {
    "selector": _SELECTOR,
    "namespaceSelector": _map(any={"type": "boolean"}, matchNames=_list(TEXT)),
    "jobLabel": TEXT,
    "sampleLimit": COUNT,
    "podTargetLabels": _list(TEXT),
}
_RULE = {
    **_map("expr", alert=TEXT, record=TEXT, expr=TEXT, labels=TEXTS, annotations=TEXTS, **{"for": DURATION}),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
}
# KEDA's CRD accepts only strings in `metadata`, not numbers.
_TRIGGER = _map(
    "type metadata",
    type=TEXT,
    name=TEXT,
    metricType={"enum": ["AverageValue", "Value", "Utilization"]},
    useCachedMetrics={"type": "boolean"},
    metadata=TEXTS,
    authenticationRef=_map("name", name=TEXT, kind=TEXT),
)
_SCALED_OBJECT = _map(
    "scaleTargetRef triggers",
    scaleTargetRef=_map("name", name=TEXT, kind=TEXT, apiVersion=TEXT, envSourceContainerName=TEXT),
    pollingInterval=COUNT,
    cooldownPeriod=COUNT,
    initialCooldownPeriod=COUNT,
    idleReplicaCount=COUNT,
    minReplicaCount=COUNT,
    maxReplicaCount=COUNT,
    fallback=_map("failureThreshold replicas", failureThreshold=COUNT, replicas=COUNT, behavior=TEXT),
    advanced=ANY_MAP,
    triggers=_list(_TRIGGER, least=1),
)
_TRIGGER_AUTHENTICATION = _map(
    secretTargetRef=_list(_map("parameter name key", parameter=TEXT, name=TEXT, key=TEXT)),
    env=ANY_LIST,
)

FOREIGN_KINDS: dict[tuple[str, str], Schema] = {
    ("keda.sh/v1alpha1", "ScaledObject"): _kind(_SCALED_OBJECT),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): _kind(_TRIGGER_AUTHENTICATION),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _kind(
        _map("selector endpoints", **_MONITOR, targetLabels=_list(TEXT), endpoints=_list(_ENDPOINT, least=1))
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): _kind(
        _map("selector podMetricsEndpoints", **_MONITOR, podMetricsEndpoints=_list(_ENDPOINT, least=1))
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _kind(
        _map(
            "groups",
            groups=_list(
                _map("name rules", name=TEXT, interval=DURATION, rules=_list(_RULE, least=1)), least=1
            ),
        )
    ),
}
