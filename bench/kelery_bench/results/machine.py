"""The description of machine and programs, which belongs to the figures."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import psutil

from kelery_dev.control_plane.binaries import Binaries, version_of
from kelery_dev.errors import DevError
from kelery_dev.stack.valkey import server_binary

_PACKAGES = ("kelery", "celery", "kombu", "redis", "kopf", "aiohttp", "uvloop", "fastapi", "uvicorn")


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, kernel and Python."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def describe_programs(binaries: Binaries | None) -> dict[str, str]:
    """The versions of the measured programs; `binaries` are the local control plane's."""
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    with contextlib.suppress(OSError, DevError):
        said = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, timeout=10)
        found["valkey"] = _word_after(said.stdout, "v=")
    if binaries:
        for name, program in (("kube-apiserver", binaries.kube_apiserver), ("etcd", binaries.etcd)):
            found[name] = ".".join(str(part) for part in version_of(program, kind=name))
    return found


def one_line(machine: Mapping[str, str]) -> str:
    """The machine as one line of text."""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['kernel']},"
        f" {machine['python']}"
    )


def _processor() -> str:
    """The processor's name, from /proc/cpuinfo if possible."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()


def _word_after(text: str, mark: str) -> str:
    return text.partition(mark)[2].partition(" ")[0].strip()
