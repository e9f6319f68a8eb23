"""Credential plug-ins: programs that a kubeconfig names (`exec`), as EKS, GKE and AKS use them.

They follow kubectl's rules: client.authentication.k8s.io/v1 and v1beta1, without a shell. Running a plug-in
blocks. It inherits stderr, because it may show instructions to the user. Invariant: no message and no repr
shows its stdout (which contains the token), its arguments or its variables.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from kelery.errors import SettingsError
from kelery.kube.kubeconfig_entries import Entry

_GROUP = "client.authentication.k8s.io"
_V1, _V1BETA1 = f"{_GROUP}/v1", f"{_GROUP}/v1beta1"
_NEVER, _IF_AVAILABLE, _ALWAYS = "Never", "IfAvailable", "Always"
_EXEC_INFO = "KUBERNETES_EXEC_INFO"
_SECONDS = 60.0
#: With a terminal, because the user may first have to log in with a browser.
_INTERACTIVE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCredential:
    """The credentials that a plug-in printed."""

    token: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    #: Seconds since 1970.
    expires_at: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """The credential plug-in of a user in a kubeconfig."""

    user: Entry
    command: str
    api_version: str
    interactive_mode: str
    args: tuple[str, ...] = field(default=(), repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""
    #: The cluster that is passed to it, if the kubeconfig asks for this.
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)

    def run(self, environ: Mapping[str, str], *, unattended: bool) -> ExecCredential:
        """Run it; raises SettingsError. `unattended`: it gets no terminal, even if stdin is one."""
        interactive = self._is_interactive(unattended=unattended)
        spec: dict[str, Any] = {"interactive": interactive}
        if self.cluster is not None:
            spec["cluster"] = self.cluster
        info = {"kind": "ExecCredential", "apiVersion": self.api_version, "spec": spec}
        limit = _INTERACTIVE_SECONDS if interactive else _SECONDS
        try:
            done = subprocess.run(
                [self._program(environ), *self.args],
                env={**environ, **self.variables, _EXEC_INFO: json.dumps(info, default=str)},
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=limit,
                check=True,
            )
        except OSError as error:
            raise self._fault("command", f"cannot be run: {error.strerror}{self._hint}") from None
        except ValueError:
            raise self._fault("command", "cannot be run: fix the characters in args and env") from None
        except subprocess.TimeoutExpired:
            problem = f"did not finish within {limit:g} s; run it by hand to log in, then try again"
            raise self._fault("command", problem) from None
        except subprocess.CalledProcessError as error:
            ended = f"signal {-error.returncode}" if error.returncode < 0 else f"status {error.returncode}"
            problem = f"failed with exit {ended}; see its output on stderr{self._hint}"
            raise self._fault("command", problem) from None
        return self._credential(done.stdout)

    def _is_interactive(self, *, unattended: bool) -> bool:
        terminal = not unattended and os.isatty(0)
        if self.interactive_mode == _ALWAYS and not terminal:
            problem = "is Always, but there is no terminal here; use a plug-in that needs none, and set Never"
            raise self.user.fault("exec.interactiveMode", problem)
        return terminal and self.interactive_mode != _NEVER

    def _program(self, environ: Mapping[str, str]) -> str:
        """The command: a path relative to the kubeconfig, or a name on the PATH."""
        if os.sep in self.command:
            program = self.user.path(self.command)
            if not program.exists():
                raise self._fault("command", f"does not exist; install it, or fix the path{self._hint}")
            return str(program)
        found = shutil.which(self.command, path=environ.get("PATH", os.defpath))
        # Like kubectl, never run a program from the working directory.
        if found is None or not os.path.isabs(found):
            raise self._fault("command", f"is not on the PATH; install it{self._hint}")
        return found

    def _credential(self, printed: bytes) -> ExecCredential:
        try:
            answer = json.loads(printed)
        except (ValueError, RecursionError):
            raise self._fault("command", "did not print JSON; run it by hand to see what is wrong") from None
        version = answer.get("apiVersion") if isinstance(answer, dict) else None
        if version != self.api_version or answer.get("kind") != "ExecCredential":
            problem = (
                f"did not print an ExecCredential of {self.api_version}; set the apiVersion that it supports"
            )
            raise self._fault("apiVersion", problem)
        status = answer.get("status")
        token, certificate, private_key, expiry = (
            status.get(name) if isinstance(status, dict) else None
            for name in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
        )
        if not all(isinstance(value or "", str) for value in (token, certificate, private_key, expiry)):
            raise self._fault("command", "printed a status with fields that are not strings")
        if not token and not (certificate and private_key):
            raise self._fault("command", "printed no status with a token, or a certificate and its key")
        if bool(certificate) != bool(private_key):
            raise self._fault("command", "printed only one of clientCertificateData and clientKeyData")
        return ExecCredential(
            token=token.strip() if token else None,
            certificate=certificate or None,
            private_key=private_key or None,
            expires_at=self._seconds(expiry) if expiry else math.inf,
        )

    def _seconds(self, text: str) -> float:
        try:
            moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
        except ValueError:
            raise self._fault(
                "command", "printed an expirationTimestamp that is not an RFC 3339 time"
            ) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()

    @property
    def _hint(self) -> str:
        return f"\n{self.install_hint}" if self.install_hint else ""

    def _fault(self, name: str, problem: str) -> SettingsError:
        return self.user.fault(f"exec.{name}", f"the plug-in {self.command!r} {problem}")


def exec_plugin(user: Entry, *, cluster: Mapping[str, Any]) -> ExecPlugin | None:
    """The credential plug-in of a user, if there is one. `cluster` is passed to it on request."""
    said = user.content.get("exec")
    if said is None:
        return None
    if not isinstance(said, dict):
        raise user.fault("exec", "is not a mapping")
    own = Entry(file=user.file, kind=user.kind, name=user.name, content=said)
    command, version, mode = own.text("command"), own.text("apiVersion"), own.text("interactiveMode")
    if not command:
        raise user.fault("exec.command", "is missing; give the program to run")
    if version not in (_V1, _V1BETA1):
        raise user.fault("exec.apiVersion", f"must be {_V1} or {_V1BETA1}, whichever the plug-in supports")
    if not mode and version == _V1BETA1:
        mode = _IF_AVAILABLE
    if mode not in (_NEVER, _IF_AVAILABLE, _ALWAYS):
        raise user.fault("exec.interactiveMode", f"must be {_NEVER}, {_IF_AVAILABLE} or {_ALWAYS}")
    return ExecPlugin(
        user=user,
        command=command,
        api_version=version,
        interactive_mode=mode,
        args=_args(user, said.get("args")),
        variables=_variables(user, said.get("env")),
        install_hint=_printable(own.text("installHint")),
        cluster=cluster if own.flag("provideClusterInfo") else None,
    )


def _args(user: Entry, said: object) -> tuple[str, ...]:
    if said is None:
        return ()
    if not isinstance(said, list) or not all(isinstance(arg, str) for arg in said):
        raise user.fault("exec.args", "is not a list of strings; put numbers in quotes")
    return tuple(said)


def _variables(user: Entry, said: object) -> dict[str, str]:
    if said is None:
        return {}
    variables = {}
    for one in said if isinstance(said, list) else [said]:
        name, value = (one.get("name"), one.get("value", "")) if isinstance(one, dict) else (None, None)
        if not isinstance(name, str) or not name or not isinstance(value, str):
            raise user.fault("exec.env", "is not a list of names and values; put numbers in quotes")
        variables[name] = value
    return variables


def _printable(text: str) -> str:
    """The text without control characters, which could change the terminal."""
    return "".join(one for one in text.strip() if one in "\n\t" or unicodedata.category(one)[0] != "C")
