"""A gateway client with its own account, created as in the guide."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.account import account
from tests.e2e.kubectl import Kubectl

_NAME = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client that may do everything with runs of its tasks in one namespace."""

    namespace: str
    token: str = field(repr=False)

    @classmethod
    def make(cls, kubectl: Kubectl, *, namespace: str, tasks: list[str]) -> Client:
        verbs = ("create", "get", "list", "patch", "delete")
        kubectl.apply(*account(_NAME, namespace=namespace, verbs=verbs, tasks=tasks))
        token = kubectl.run("create", "token", _NAME, "-n", namespace, "--audience=kelery").strip()
        return cls(namespace=namespace, token=token)

    def ask(self, url: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send a request; the answer's JSON, or `{}` if it is empty. Raises if the gateway refuses."""
        request = urllib.request.Request(
            f"{url}/v1/namespaces/{self.namespace}/taskruns{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.loads(answer.read() or b"{}"))
