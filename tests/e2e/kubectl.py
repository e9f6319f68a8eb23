"""kubectl as the tests use it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class KubectlError(AssertionError):
    """A command that failed, with what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """The program and the cluster it speaks to."""

    kubeconfig: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """What it printed; a failure is a failure of the test."""
        done = self.attempt(*arguments, input=input, timeout=timeout)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def attempt(
        self, *arguments: str, input: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The caller looks at the return code."""
        return subprocess.run(
            ["kubectl", *arguments],
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """For what goes on until it is ended; its words are read from the pipe."""
        return subprocess.Popen(
            ["kubectl", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def items(self, kind: str, *arguments: str) -> list[Object]:
        """Objects of a kind."""
        content: Object = json.loads(self.run("get", kind, *arguments, "-o", "json"))
        return list(content["items"]) if "items" in content else [content]

    def apply(self, *objects: Object) -> None:
        """Make them, or make them so."""
        content = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(content))
