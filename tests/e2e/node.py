"""A hand on the node: a privileged pod that sees its processes and the folder that volumes lie in.

It kills as nothing in the cluster can: SIGKILL, from outside, to the first process of a container, which then
has no say in how it ends. What it says of memory is the kernel's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.settings import Image

NAMESPACE = "kelery-e2e-node"
#: On the node; volumes of the tests lie below it.
FOLDER = "/var/lib/kelery-e2e"
_POD = "hand"

# The container's id stands in its processes' cgroup, whatever driver and version the node has.
_FIND = """
import os, sys
wanted = sys.argv[1]
def processes():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if wanted in open(f"/proc/{pid}/cgroup").read():
                status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
                command = open(f"/proc/{pid}/cmdline").read().replace(chr(0), " ").strip()
                inside, kilobytes = status["NSpid"].split()[-1], status.get("VmRSS", "0 kB").split()[0]
                yield int(pid), int(inside), int(kilobytes), command
        except (FileNotFoundError, ProcessLookupError):
            pass
"""
_KILL = (
    _FIND
    + """
[first] = [pid for pid, inside, _, _ in processes() if inside == 1]
os.kill(first, 9)
"""
)
_LIST = (
    _FIND
    + """
import json
print(json.dumps([[inside, kilobytes, command] for _, inside, kilobytes, command in processes()]))
"""
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of a container."""

    pid: int
    rss_megabytes: float
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The cluster's only node."""

    kubectl: Kubectl

    @classmethod
    def reach(cls, kubectl: Kubectl, *, image: Image) -> Node:
        """With a pod of ours on it, which is there when this returns."""
        kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": _POD, "namespace": NAMESPACE},
                "spec": {
                    "hostPID": True,
                    "terminationGracePeriodSeconds": 1,
                    "automountServiceAccountToken": False,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": "hand",
                            "image": image.reference,
                            "command": ["sleep", "infinity"],
                            "securityContext": {"privileged": True, "runAsUser": 0},
                            "volumeMounts": [{"name": "folder", "mountPath": FOLDER}],
                        }
                    ],
                    "volumes": [
                        {"name": "folder", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}}
                    ],
                },
            },
        )
        kubectl.run(
            "wait", f"pod/{_POD}", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=90s", timeout=100
        )
        return cls(kubectl=kubectl)

    def leave(self) -> None:
        """Take what the tests wrote, and the pod, off the node."""
        self.shell(f"rm -rf {FOLDER}/*")
        self.kubectl.run("delete", "namespace", NAMESPACE, "--timeout=120s", timeout=130)

    def shell(self, script: str) -> str:
        """As root, with the node's processes and the volumes' folder in sight."""
        return self.kubectl.run("exec", "-n", NAMESPACE, _POD, "--", "sh", "-ec", script)

    def folder(self, name: str) -> str:
        """A folder on the node that every user may write to; its path."""
        path = f"{FOLDER}/{name}"
        self.shell(f"mkdir -p {path}; chmod 0777 {path}")
        return path

    def kill(self, pod: Object, *, container: str) -> None:
        """SIGKILL to the container's first process, and so by the kernel to all that it holds."""
        self._python(_KILL, container_id(pod, container))

    def processes(self, pod: Object, *, container: str) -> list[Process]:
        """What runs in the container."""
        found = json.loads(self._python(_LIST, container_id(pod, container)))
        return [Process(pid=pid, rss_megabytes=rss / 1024, command=command) for pid, rss, command in found]

    def _python(self, script: str, *arguments: str) -> str:
        return self.kubectl.run(
            "exec", "-i", "-n", NAMESPACE, _POD, "--", "python3", "-", *arguments, input=script
        )


def container_id(pod: Object, container: str) -> str:
    """The id that the runtime gave to the pod's running container."""
    [identity] = [
        status["containerID"] for status in pod["status"]["containerStatuses"] if status["name"] == container
    ]
    return str(identity).rpartition("/")[2]
