"""Kubeconfigs and their credential plug-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

V1 = "client.authentication.k8s.io/v1"
SERVER = "https://10.0.0.1:6443/"


def kubeconfig(
    path: Path, *, cluster: Mapping[str, Any] | None = None, user: Mapping[str, Any] | None = None
) -> Path:
    """A kubeconfig with one context, which is current."""
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": dict(cluster or {"server": SERVER})}],
        "users": [{"name": "u", "user": dict(user or {})}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


class Plugin:
    """A program that prints the output that a test sets, and counts its runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.program = folder / "login"
        self._becomes('cat "$here/answer"')

    @property
    def runs(self) -> int:
        """The number of its runs."""
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def told(self) -> Mapping[str, Any]:
        """The ExecCredential from the environment of its last run."""
        told: Mapping[str, Any] = json.loads((self.folder / "told").read_text())
        return told

    def user(self, **said: Any) -> dict[str, Any]:
        """The kubeconfig's user that names this plug-in."""
        said = {"apiVersion": V1, "command": str(self.program), "interactiveMode": "Never", **said}
        return {"exec": {name: value for name, value in said.items() if value is not None}}

    def hands_out(self, *, version: str = V1, expires_at: float | None = None, **status: str) -> None:
        """Print an ExecCredential with this status from now on."""
        if expires_at is not None:
            moment = datetime.fromtimestamp(expires_at, UTC)
            status["expirationTimestamp"] = moment.isoformat().replace("+00:00", "Z")
        self.prints(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))

    def prints(self, text: str) -> None:
        """Print this text from now on."""
        answer = self.folder / "answer"
        draft = answer.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(answer)

    def takes(self, seconds: float) -> None:
        """Wait this long in each run from now on."""
        self._becomes(f'sleep {seconds}; cat "$here/answer"')

    def fails(self, *, status: int) -> None:
        """Fail from now on, with a secret on stdout and a reason on stderr. Neither may appear elsewhere."""
        self._becomes(f"echo s3cret; echo 'the plug-in says why' >&2; exit {status}")

    def _becomes(self, lines: str) -> None:
        script = [
            "#!/bin/sh",
            f"here='{self.folder}'",
            'echo run >> "$here/runs"',
            'printf %s "$KUBERNETES_EXEC_INFO" > "$here/told"',
            lines,
        ]
        draft = self.program.with_suffix(".draft")
        draft.write_text("\n".join(script) + "\n")
        draft.chmod(0o755)
        draft.replace(self.program)
