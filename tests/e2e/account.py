"""The account of a gateway client: rights on runs and on some tasks, as in the guide."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.kubectl import Object

_API = "rbac.authorization.k8s.io"


def account(name: str, *, namespace: str, verbs: Sequence[str], tasks: Sequence[str]) -> list[Object]:
    """A ServiceAccount, Role and RoleBinding with one name. The account has only the named rights."""
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
