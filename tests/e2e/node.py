"""Access to the node: a privileged pod that sees its processes and the volumes' folder.

It sends SIGKILL to the first process of a container from outside, so the container cannot react to it. Memory
figures come from the kernel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.settings import Image

NAMESPACE = "kelery-e2e-node"
#: A folder on the node. The tests' volumes are below it.
FOLDER = "/var/lib/kelery-e2e"
_POD = "hand"

# The cgroup of its processes has the container's id, with any driver and version.
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
        """Start a pod on the node and wait until it is ready."""
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
        """Remove the tests' files and the pod from the node."""
        self.shell(f"rm -rf {FOLDER}/*")
        self.kubectl.run("delete", "namespace", NAMESPACE, "--timeout=120s", timeout=130)

    def shell(self, script: str) -> str:
        """Run a command as root, with access to the node's processes and the volumes' folder."""
        return self.kubectl.run("exec", "-n", NAMESPACE, _POD, "--", "sh", "-ec", script)

    def folder(self, name: str) -> str:
        """Create a folder on the node that every user may write to; its path."""
        path = f"{FOLDER}/{name}"
        self.shell(f"mkdir -p {path}; chmod 0777 {path}")
        return path

    def kill(self, pod: Object, *, container: str) -> None:
        """Send SIGKILL to the container's first process. The kernel then kills the other processes in it."""
        self._python(_KILL, container_id(pod, container))

    def processes(self, pod: Object, *, container: str) -> list[Process]:
        """The processes of the container."""
        found = json.loads(self._python(_LIST, container_id(pod, container)))
        return [Process(pid=pid, rss_megabytes=rss / 1024, command=command) for pid, rss, command in found]

    def _python(self, script: str, *arguments: str) -> str:
        return self.kubectl.run(
            "exec", "-i", "-n", NAMESPACE, _POD, "--", "python3", "-", *arguments, input=script
        )


def container_id(pod: Object, container: str) -> str:
    """The runtime's id of the pod's running container."""
    [identity] = [
        status["containerID"] for status in pod["status"]["containerStatuses"] if status["name"] == container
    ]
    return str(identity).rpartition("/")[2]
