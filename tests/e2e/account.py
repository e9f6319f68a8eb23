"""The account of a client of the gateway: rights on runs and on some tasks, as the guide tells people."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.kubectl import Object

_API = "rbac.authorization.k8s.io"


def account(name: str, *, namespace: str, verbs: Sequence[str], tasks: Sequence[str]) -> list[Object]:
    """ServiceAccount, Role and RoleBinding of one name; no right beyond what is named."""
    meta = {"name": name, "namespace": namespace}
    rules = [
        {"apiGroups": ["kelery.dev"], "resources": ["taskruns"], "verbs": list(verbs)},
        {"apiGroups": ["kelery.dev"], "resources": ["tasks"], "verbs": ["use"], "resourceNames": list(tasks)},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{_API}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{_API}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": _API, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
    ]
