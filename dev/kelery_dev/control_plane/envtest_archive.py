"""A control plane from kubebuilder's envtest archive: kube-apiserver, etcd and kubectl in one download.

The index contains a SHA-512 for each archive; nothing is unpacked before it matches. Only the three programs
are extracted, each to a fixed path.
"""

import hashlib
import re
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO

import yaml

from kelery_dev.control_plane.binaries import PROGRAMS
from kelery_dev.control_plane.cache import KUBERNETES_MINOR, Announce, platform_name
from kelery_dev.errors import DevError

INDEX_URL = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
OFF = "off"
_INDEX_FILE = "envtest-releases.yaml"
# Many networks drop such a connection instead of refusing it.
_CONNECT_SECONDS = 5.0
_STALL_SECONDS = 20.0
_INDEX_BYTES = 4 * 1024**2
_ARCHIVE_BYTES = 400 * 1024**2
_PROGRAM_BYTES = 500 * 1024**2
_CHUNK = 1024**2
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One downloadable archive and its checksum."""

    release: str
    url: str
    sha512: str


def fetch_into(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> None:
    """Download, verify and unpack the newest archive of the supported release into a folder."""
    base = environment.get("KELERY_ENVTEST_URL", "").rstrip("/")
    if base.lower() == OFF:
        raise DevError("disabled by KELERY_ENVTEST_URL=off")
    index_url = f"{base}/{_INDEX_FILE}" if base else INDEX_URL
    archive = choose_archive(_read_index(index_url), base=base)
    packed = folder / "archive.tar.gz"
    _download(archive, to=packed, announce=announce)
    unpack(packed, into=folder)
    packed.unlink()


def choose_archive(index: object, *, base: str) -> Archive:
    """The newest patch release for this platform; `base` replaces the address in the index."""
    releases = index.get("releases") if isinstance(index, dict) else None
    if not isinstance(releases, dict):
        raise DevError(
            f"{_INDEX_FILE} has no `releases`: set KELERY_ENVTEST_URL to the base of an envtest mirror"
        )
    candidates: list[tuple[int, str]] = []
    for release in releases:
        found = _RELEASE.match(str(release))
        if found and (int(found[1]), int(found[2])) == KUBERNETES_MINOR:
            candidates.append((int(found[3]), str(release)))
    for _, release in sorted(candidates, reverse=True):
        name = f"envtest-{release}-{platform_name()}.tar.gz"
        entry = (releases[release] or {}).get(name)
        if entry:
            url = f"{base}/envtest-{release}/{name}" if base else str(entry["selfLink"])
            return Archive(release=release, url=url, sha512=str(entry["hash"]).lower())
    wanted = ".".join(str(part) for part in KUBERNETES_MINOR)
    raise DevError(f"{_INDEX_FILE} has no archive of Kubernetes {wanted} for {platform_name()}")


def unpack(packed: Path, *, into: Path) -> None:
    """Extract the three programs; DevError if the archive contains paths outside its folder."""
    missing = set(PROGRAMS)
    try:
        with tarfile.open(packed, "r:gz") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise DevError(f"the archive is not safe to unpack: it contains {member.name!r}")
                if path.name not in missing:
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.size > _PROGRAM_BYTES:
                    raise DevError(f"the archive's {path.name} is not a regular file of a plausible size")
                _write_program(into / path.name, content=content)
                missing.discard(path.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DevError(f"the archive cannot be unpacked: {error}") from error
    if missing:
        raise DevError(f"the archive does not contain {', '.join(sorted(missing))}")


def _write_program(path: Path, *, content: IO[bytes]) -> None:
    with path.open("wb") as target:
        while chunk := content.read(_CHUNK):
            target.write(chunk)
    path.chmod(0o755)


def _read_index(url: str) -> object:
    with _open(url, timeout=_CONNECT_SECONDS) as answer:
        try:
            raw = answer.read(_INDEX_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise DevError(f"the download of {url} failed: {error}") from error
    if len(raw) > _INDEX_BYTES:
        raise DevError(f"{url} is larger than {_INDEX_BYTES // 1024**2} MiB, so it is not an envtest index")
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise DevError(f"{url} is not YAML") from error


def _open(url: str, *, timeout: float) -> HTTPResponse:
    if not url.startswith(("https://", "http://")):
        raise DevError(f"{url} is not an http(s) address: check KELERY_ENVTEST_URL")
    try:
        answer: HTTPResponse = urllib.request.urlopen(url, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise DevError(f"{url} returned {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise DevError(f"cannot reach {url}: {getattr(error, 'reason', error)}") from error
    return answer


def _download(archive: Archive, *, to: Path, announce: Announce) -> None:
    """Download the archive to a file and check its SHA-512; report progress at most once a second."""
    announce(f"control plane: downloading Kubernetes {archive.release} from {archive.url}")
    digest, received, spoken = hashlib.sha512(), 0, time.monotonic()
    with _open(archive.url, timeout=_STALL_SECONDS) as answer, to.open("wb") as target:
        size = int(answer.headers.get("Content-Length") or 0)
        if size > _ARCHIVE_BYTES:
            raise DevError(f"{archive.url} has {size} bytes, more than any envtest archive")
        while True:
            try:
                chunk = answer.read(_CHUNK)
            except (OSError, HTTPException) as error:
                raise DevError(
                    f"the download of {archive.url} failed after {received} bytes: {error}"
                ) from error
            if not chunk:
                break
            received += len(chunk)
            if received > _ARCHIVE_BYTES:
                raise DevError(f"{archive.url} is longer than any envtest archive")
            digest.update(chunk)
            target.write(chunk)
            if time.monotonic() - spoken >= 1:
                spoken = time.monotonic()
                announce(f"control plane: downloading, {_progress(received, size=size)}")
    if size and received != size:
        raise DevError(f"the download of {archive.url} ended after {received} of {size} bytes")
    if digest.hexdigest() != archive.sha512:
        raise DevError(f"{archive.url} does not match its SHA-512 in the index; nothing was unpacked")


def _progress(received: int, *, size: int) -> str:
    megabytes = f"{received / 1e6:.0f} MB"
    return f"{received * 100 // size} % of {size / 1e6:.0f} MB" if size else megabytes
