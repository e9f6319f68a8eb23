"""The logs of every pod, also of killed and removed ones. They are read live, because later they are gone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.e2e.kubectl import Kubectl, KubectlError, Object

_LOOK_SECONDS = 2.0


class PodLogs:
    """A thread that follows each running container's log into a file."""

    def __init__(self, kubectl: Kubectl, *, namespaces: Sequence[str], folder: Path) -> None:
        self.folder = folder
        self._kubectl = kubectl
        self._namespaces = namespaces
        self._followed: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following. The files stay."""
        self._stopping.set()
        self._thread.join()
        for process, file in self._followed.values():
            process.terminate()
            process.wait(10)
            file.close()

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            for namespace in self._namespaces:
                try:
                    pods = self._kubectl.items("pods", "-n", namespace)
                except (KubectlError, subprocess.TimeoutExpired):
                    continue
                for pod in pods:
                    self._follow_containers(pod)

    def _follow_containers(self, pod: Object) -> None:
        status, meta = pod["status"], pod["metadata"]
        states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        for state in states:
            identity = state.get("containerID")
            if identity and identity not in self._followed:
                name = f"{meta['name']}.{state['name']}.{state['restartCount']}.log"
                file = (self.folder / name).open("w")
                command = [
                    "kubectl",
                    "logs",
                    "-f",
                    "-n",
                    meta["namespace"],
                    meta["name"],
                    "-c",
                    state["name"],
                ]
                process = subprocess.Popen(
                    command,
                    env=self._kubectl.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                self._followed[identity] = process, file


def write_state(kubectl: Kubectl, folder: Path, *, namespaces: Sequence[str]) -> None:
    """Write the cluster's state, for readers of the logs."""
    folder.mkdir(parents=True, exist_ok=True)
    for namespace in namespaces:
        for kind in ("pods", "taskruns", "events", "deployments,statefulsets,pvc"):
            found = kubectl.attempt("get", kind, "-n", namespace, "-o", "yaml")
            (folder / f"{namespace}.{kind.partition(',')[0]}.yaml").write_text(found.stdout + found.stderr)
