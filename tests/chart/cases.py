"""The sets of values that the tests render the chart with: one for each switch, and those of ci/.

Each set is used alone, on top of values.yaml. `EVERYTHING` enables all values that work together.
"""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.helm import CHART, Values

DIGEST = "sha256:" + "ab" * 32
#: A password in the values. It must appear in Secrets only.
CANARY = "canary-4f1c9d"

_KEDA = {"type": "keda", "minReplicas": 0, "maxReplicas": 5}
_HPA = {"type": "hpa", "minReplicas": 2, "maxReplicas": 6}

#: Pod settings that every component supports.
POD_COMMON: Values = {
    "podAnnotations": {"example.com/note": "yes"},
    "podLabels": {"example.com/team": "a"},
    "nodeSelector": {"disktype": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
            }
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "hostUsers": False,
    "extraEnv": [{"name": "EXTRA", "value": "1"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
}

_METRICS: Values = {
    "serviceMonitor": {"enabled": True, "interval": "20s"},
    "prometheusRule": {"enabled": True},
}
_EGRESS: Values = {"enabled": True, "extra": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}
#: Entries of a NetworkPolicy's `from`.
FROM = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "web"}}}]
_INGRESS: Values = {
    "enabled": True,
    "className": "nginx",
    "annotations": {"example.com/ingress": "yes"},
    "hosts": [{"host": "kelery.example", "paths": [{"path": "/", "pathType": "Prefix"}]}],
    "tls": [{"secretName": "kelery-tls", "hosts": ["kelery.example"]}],
}
_OWN_IMAGE: Values = {
    "app": "proj",
    "queues": ["reports", "mail"],
    "image": {"registry": "registry.example", "repository": "team/proj", "tag": "1.4"},
}

TOGGLES: dict[str, dict[str, Any]] = {
    "default": {},
    "no-crds": {"crds": {"enabled": False}},
    "crds-not-kept": {"crds": {"keep": False}},
    "crds-annotated": {"crds": {"annotations": {"example.com/crd": "yes"}}},
    "no-policy": {"policy": {"enabled": False}},
    "task-use-everywhere": {"policy": {"requireTaskUse": "everywhere"}},
    "task-use-off": {"policy": {"requireTaskUse": "off"}},
    "namespaces": {
        "scope": {"mode": "namespaces", "namespaces": ["team-a", "team-b"]},
        "gateway": {"authDelegator": True},
    },
    "namespaces-without-reviews": {"scope": {"mode": "namespaces"}, "gateway": {"auth": "none"}},
    "cluster-id": {"clusterId": "prod-1"},
    "broker-url": {"redis": {"enabled": False}, "broker": {"url": f"redis://:{CANARY}@redis.example:6379/2"}},
    "broker-secret": {"redis": {"enabled": False}, "broker": {"existingSecret": {"name": "my-redis"}}},
    "broker-tls": {
        "redis": {"enabled": False},
        "broker": {"existingSecret": {"name": "my-redis", "key": "dsn"}, "caSecret": {"name": "my-ca"}},
    },
    "redis-existing-secret": {"redis": {"auth": {"existingSecret": {"name": "my-password"}}}},
    "redis-in-memory": {"redis": {"persistence": {"enabled": False}}},
    "redis-existing-claim": {"redis": {"persistence": {"existingClaim": "my-claim"}}},
    "redis-storage-class": {"redis": {"persistence": {"storageClass": "fast", "size": "8Gi"}}},
    "no-gateway": {"gateway": {"enabled": False}},
    "no-operator": {"operator": {"enabled": False}},
    "no-workers": {"workers": {"default": None}},
    "workers-switched-off": {"workers": {"default": {"enabled": False}}},
    "auth-none": {"gateway": {"auth": "none"}},
    "ingress": {"gateway": {"ingress": _INGRESS}},
    "gateway-hpa": {"gateway": {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 5}}},
    "gateway-single": {"gateway": {"replicas": 1, "pdb": {"enabled": False}}},
    "gateway-loadbalancer": {"gateway": {"service": {"type": "LoadBalancer", "port": 8080}}},
    "workers-hpa": {"workerDefaults": {"autoscaling": _HPA}},
    "workers-keda": {"workerDefaults": {"autoscaling": _KEDA}},
    "several-pools": {
        "workers": {
            "default": {"replicas": 3},
            "mail": {"app": "kelery_worker.demo", "queues": ["mail"], "autoscaling": _KEDA},
            "heavy": {"app": "kelery_worker.demo", "queues": ["heavy"], "autoscaling": _HPA},
            "proj": _OWN_IMAGE,
        }
    },
    "own-image-by-digest": {
        "workers": {"proj": {**_OWN_IMAGE, "image": {"repository": "p", "digest": DIGEST}}}
    },
    "own-image-with-plug-in": {"workers": {"proj": {**_OWN_IMAGE, "inject": False}}},
    "code-inline": {
        "workers": {"first": {"app": "tasks", "code": {"inline": {"tasks.py": "from celery import *\n"}}}}
    },
    "code-in-configmap": {"workers": {"first": {"app": "tasks", "code": {"configMap": "my-tasks"}}}},
    "metrics": {"metrics": _METRICS},
    "pod-monitor": {"metrics": {"podMonitor": {"enabled": True, "interval": "20s"}}},
    "network-policy-narrow": {
        "networkPolicy": {
            "allowGatewayFrom": FROM,
            "allowMetricsFrom": FROM,
            "allowValkeyFrom": FROM,
            "extraWorkerIngress": [{"from": FROM}],
            "egress": _EGRESS,
        }
    },
    "worker-budgets": {"workerDefaults": {"pdb": {"enabled": True}}},
    "tasks-for-editors": {"rbac": {"aggregateTaskUse": "edit"}},
    "no-network-policy": {"networkPolicy": {"enabled": False}},
    "no-tests": {"tests": {"enabled": False}},
    "no-rbac": {"rbac": {"create": False}},
    "no-aggregation": {"rbac": {"aggregate": False}},
    "own-accounts": {
        "operator": {"serviceAccount": {"create": False, "name": "mine"}},
        "gateway": {"serviceAccount": {"create": False, "name": "mine-too"}},
    },
    "registry": {"global": {"imageRegistry": "mirror.example", "imagePullSecrets": [{"name": "pull"}]}},
    "digests": {"image": {"digest": DIGEST}, "redis": {"image": {"digest": DIGEST}}},
    "listens-on-ipv6": {"listenHost": "::"},
    "nulls": {
        # Helm keeps the nulls of a pool that values.yaml does not have.
        "workers": {
            "more": {
                "app": "a",
                "podSecurityContext": {"runAsUser": None, "fsGroup": 1000680000},
                "securityContext": {"privileged": None},
                "resources": {"requests": {"cpu": "1", "memory": None}, "limits": None},
                "affinity": {"nodeAffinity": None},
                "autoscaling": {**_HPA, "behavior": {"scaleDown": None, "scaleUp": None}},
            },
        },
        "gateway": {"autoscaling": {"enabled": True, "behavior": {"scaleUp": None}}},
    },
    "names": {"fullnameOverride": "tasks", "nameOverride": "tasks"},
    "common-metadata": {
        "commonLabels": {"example.com/owner": "ops"},
        "commonAnnotations": {"example.com/url": "https://example.com"},
        "global": {"commonLabels": {"example.com/tier": "one"}},
    },
    "pod-common": {
        "gateway": POD_COMMON,
        "operator": POD_COMMON,
        "redis": POD_COMMON,
        "workerDefaults": POD_COMMON,
    },
    "extra-objects": {
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "1"}}
        ]
    },
    "as-subchart-enabled": {"enabled": True, "global": {"of-the-parent": {"anything": 1}}},
}

#: Everything that can be enabled at the same time.
EVERYTHING: dict[str, Any] = {
    "crds": {"annotations": {"example.com/crd": "yes"}},
    "policy": {"requireTaskUse": "everywhere"},
    "clusterId": "prod-1",
    "gateway": {**POD_COMMON, "ingress": _INGRESS, "autoscaling": {"enabled": True}},
    "operator": POD_COMMON,
    "redis": {**POD_COMMON, "auth": {"existingSecret": {"name": "my-password"}}},
    "workerDefaults": POD_COMMON,
    "workers": {
        "scaled": {"app": "a", "autoscaling": _HPA},
        "queued": {"app": "a", "autoscaling": _KEDA},
        "proj": _OWN_IMAGE,
    },
    "metrics": _METRICS,
    "networkPolicy": {"egress": _EGRESS},
}

_OF_CI = {
    f"ci/{file.name.removesuffix('-values.yaml')}": yaml.safe_load(file.read_text()) or {}
    for file in sorted((CHART / "ci").glob("*-values.yaml"))
}
CASES: dict[str, dict[str, Any]] = {**TOGGLES, "everything": EVERYTHING, **_OF_CI}
