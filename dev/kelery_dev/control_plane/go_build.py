"""A control plane built with Go from the modules that `gobuild/go.mod` pins, for networks without GitHub.

The first build on a machine needs 5 to 10 minutes on two cores; later builds use Go's build cache. etcd comes
from PATH if its version is new enough.
"""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kelery_dev.control_plane.binaries import OLDEST_ETCD, version_of
from kelery_dev.control_plane.cache import Announce
from kelery_dev.errors import DevError
from kelery_dev.supervise import die_with_parent
from kelery_dev.supervise.child_process import signal_group, tail

MODULES = Path(__file__).parent / "gobuild"
_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
# Since this release, Go downloads the toolchain that go.mod requires.
_OLDEST_GO = (1, 21)
_PROGRESS_SECONDS = 5.0
_POLL_SECONDS = 0.1


def build_into(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
    """Build the three programs into a folder; etcd may come from PATH."""
    go = _go(environment)
    release = kubernetes_release()
    announce(f"control plane: building Kubernetes {release} with Go; the first build needs 5 to 10 minutes")
    found = _etcd_on_path(environment)
    # A killed Go leaves its temporary folder; this one is removed with the target folder.
    temporary = folder / "build.tmp"
    temporary.mkdir()
    environment = {**environment, "GOTMPDIR": str(temporary)}
    for position, (program, package) in enumerate(_PACKAGES.items(), start=1):
        if program == "etcd" and found:
            announce(f"control plane: using {found}")
            shutil.copy2(found, folder / program)
            continue
        step = f"{program} ({position} of {len(_PACKAGES)})"
        argv = [
            go,
            "build",
            "-trimpath",
            "-ldflags",
            _linker_flags(release),
            "-o",
            str(folder / program),
            package,
        ]
        _run(argv, step=step, log=folder / "build.log", environment=environment, announce=announce)
    (folder / "build.log").unlink(missing_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)


def kubernetes_release() -> str:
    """The release of Kubernetes that go.mod pins, such as `v1.36.3`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (MODULES / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise DevError(f"{MODULES / 'go.mod'} names no k8s.io/kubernetes")
    return found[1]


def _go(environment: Mapping[str, str]) -> str:
    go = shutil.which("go", path=environment.get("PATH"))
    if not go:
        raise DevError("go is not in PATH (https://go.dev/dl)")
    done = subprocess.run([go, "version"], capture_output=True, text=True, timeout=60, env=dict(environment))
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    if not found or (int(found[1]), int(found[2])) < _OLDEST_GO:
        raise DevError(
            f"{go} is older than 1.21 or does not run: {(done.stdout + done.stderr).strip()[:200]}"
        )
    return go


def _etcd_on_path(environment: Mapping[str, str]) -> Path | None:
    """An etcd in PATH that is new enough; Debian 12's 3.4 is not."""
    found = shutil.which("etcd", path=environment.get("PATH"))
    if not found:
        return None
    try:
        return Path(found) if version_of(Path(found), kind="etcd")[:2] >= OLDEST_ETCD else None
    except DevError:
        return None


def _linker_flags(release: str) -> str:
    """The flags that set the version: without it the API server is v0.0.0 and refuses to start."""
    version = "k8s.io/component-base/version"
    major, minor, _ = release.removeprefix("v").split(".", 2)
    stamps = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X {version}.{name}={value}" for name, value in stamps.items())])


def _run(
    argv: list[str], *, step: str, log: Path, environment: Mapping[str, str], announce: Announce
) -> None:
    """Run one build in its own process group, which ends with this process."""
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    started = spoken = time.monotonic()
    with log.open("wb") as output:
        build = subprocess.Popen(
            # A build must not continue after this process was killed.
            die_with_parent.wrap(tuple(argv)),
            cwd=MODULES,
            env={**environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while build.poll() is None:
            time.sleep(_POLL_SECONDS)
            if time.monotonic() - spoken >= _PROGRESS_SECONDS:
                spoken = time.monotonic()
                announce(f"control plane: building {step}, {_elapsed(spoken - started)}")
    finally:
        signal_group(build.pid, number=signal.SIGKILL)
        build.wait()
    if build.returncode != 0:
        raise DevError(f"go build of {step} failed with code {build.returncode}:\n{tail(log)}")
    announce(f"control plane: built {step} in {_elapsed(time.monotonic() - started)}")


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
