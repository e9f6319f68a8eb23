"""The pod of `rest_load.py`: a client in the cluster that uses the gateway's Service."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.e2e.account import account
from tests.e2e.kubectl import Kubectl
from tests.e2e.moves import PLACES, RETRY
from tests.e2e.release import NAME, NAMESPACE
from tests.e2e.settings import Image

_SCRIPT = Path(__file__).with_name("rest_load.py")
_THREADS = 3
_BODY_SECONDS = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPod:
    """One load, from start to end."""

    kubectl: Kubectl
    namespace: str
    name: str

    @classmethod
    def start(cls, kubectl: Kubectl, *, namespace: str, image: Image) -> RestPod:
        """Start the pod and wait until it is ready. Its account has only a client's rights."""
        name = f"rest-{uuid4().hex[:8]}"
        meta = {"name": name, "namespace": namespace}
        environment = {
            "LOAD_URL": f"http://{NAME}-api.{NAMESPACE}/v1/namespaces/{namespace}/taskruns",
            "LOAD_SPEC": json.dumps({"task": "warehouse.move", "queue": "warehouse", "retry": RETRY}),
            "LOAD_PLACES": ",".join(PLACES),
            "LOAD_SECONDS": str(_BODY_SECONDS),
            "LOAD_THREADS": str(_THREADS),
            "LOAD_ID": name,
        }
        token = {"serviceAccountToken": {"path": "token", "audience": "kelery", "expirationSeconds": 3600}}
        kubectl.apply(
            *account(name, namespace=namespace, verbs=("create", "get"), tasks=("warehouse.move",)),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": meta,
                "data": {"rest_load.py": _SCRIPT.read_text()},
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": meta,
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": name,
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {
                            "name": "load",
                            "image": image.reference,
                            "command": ["python", "/load/rest_load.py"],
                            "env": [{"name": key, "value": value} for key, value in environment.items()],
                            "volumeMounts": [
                                {"name": "load", "mountPath": "/load"},
                                {"name": "token", "mountPath": "/var/run/secrets/kelery"},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "load", "configMap": {"name": name}},
                        {"name": "token", "projected": {"sources": [token]}},
                    ],
                },
            },
        )
        kubectl.run(
            "wait", f"pod/{name}", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout=70
        )
        return cls(kubectl=kubectl, namespace=namespace, name=name)

    def stop(self) -> dict[str, str]:
        """Stop sending and wait for the end of all runs; the outcomes by run name."""
        where = ("-n", self.namespace)
        self.kubectl.run("exec", self.name, *where, "--", "touch", "/tmp/stop")
        done = "--for=jsonpath={.status.phase}=Succeeded"
        self.kubectl.run("wait", f"pod/{self.name}", *where, done, "--timeout=180s", timeout=190)
        report = json.loads(self.kubectl.run("logs", self.name, *where).splitlines()[-1])
        assert report["failures"] == []
        return dict(report["outcomes"])

    def remove(self) -> None:
        """Delete the pod if it exists. Its other objects are deleted with the namespace."""
        self.kubectl.run("delete", "pod", self.name, "-n", self.namespace, "--ignore-not-found")
