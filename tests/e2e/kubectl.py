"""kubectl for the tests."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class KubectlError(AssertionError):
    """A command that failed, with its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """The program and its cluster."""

    kubeconfig: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:
        """Run a command; its output. Fails the test if the command fails."""
        done = self.attempt(*arguments, input=input, timeout=timeout)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def attempt(
        self, *arguments: str, input: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command. The caller checks the return code."""
        return subprocess.run(
            ["kubectl", *arguments],
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that continues until it is stopped. Read its output from the pipe."""
        return subprocess.Popen(
            ["kubectl", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def items(self, kind: str, *arguments: str) -> list[Object]:
        """The objects of a kind."""
        content: Object = json.loads(self.run("get", kind, *arguments, "-o", "json"))
        return list(content["items"]) if "items" in content else [content]

    def apply(self, *objects: Object) -> None:
        """Create or update objects."""
        content = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(content))
