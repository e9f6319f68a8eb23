"""The download of a control plane from a real web server: only a complete, verified archive is accepted."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from kelery_dev.control_plane.cache import platform_name
from kelery_dev.control_plane.envtest_archive import choose_archive, fetch_into
from kelery_dev.errors import DevError
from tests.support.versioned_programs import VERSIONS, program


def packed(members: dict[str, bytes]) -> bytes:
    """A gzipped tar of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass(kw_only=True)
class WebServer:
    """The files to serve and the paths asked for; a path in `cut` announces more bytes than it sends."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    """A real web server on loopback."""
    site = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            missing = 1000 if self.path in site.cut else 0
            self.send_header("Content-Length", str(len(content) + missing))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `asked` instead."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


GOOD = {f"controller-tools/envtest/{name}": program(name) for name in VERSIONS}


def release(version: str, *, sha512: str = "0" * 128) -> dict[str, dict[str, dict[str, str]]]:
    name = f"envtest-{version}-{platform_name()}.tar.gz"
    return {version: {name: {"hash": sha512, "selfLink": f"https://example.test/{name}"}}}


def offer(site: WebServer, *, archive: bytes, version: str = "v1.36.2", sha512: str = "") -> str:
    """Put an archive, and an index that names it, on the site; return the archive's path."""
    digest = sha512 or hashlib.sha512(archive).hexdigest()
    path = f"/envtest-{version}/envtest-{version}-{platform_name()}.tar.gz"
    site.files["/envtest-releases.yaml"] = yaml.safe_dump(
        {"releases": release(version, sha512=digest)}
    ).encode()
    site.files[path] = archive
    return path


def fetch(site: WebServer, *, into: Path) -> list[str]:
    """Fetch from the site; return the lines that were announced."""
    lines: list[str] = []
    fetch_into(into, environment={"KELERY_ENVTEST_URL": site.url}, announce=lines.append)
    return lines


def test_a_good_archive_gives_the_three_programs_and_nothing_else(
    web_server: WebServer, tmp_path: Path
) -> None:
    offer(web_server, archive=packed({**GOOD, "controller-tools/envtest/readme": b"text"}))
    lines = fetch(web_server, into=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(VERSIONS)
    assert all(path.stat().st_mode & 0o777 == 0o755 for path in tmp_path.iterdir())
    assert "v1.36.2" in lines[0]


def test_an_archive_with_a_wrong_checksum_is_not_unpacked(web_server: WebServer, tmp_path: Path) -> None:
    offer(web_server, archive=packed(GOOD), sha512="a" * 128)
    with pytest.raises(DevError, match="does not match its SHA-512"):
        fetch(web_server, into=tmp_path)
    assert not any((tmp_path / name).exists() for name in VERSIONS)


def test_a_download_that_breaks_off_is_named_as_such(web_server: WebServer, tmp_path: Path) -> None:
    web_server.cut.add(offer(web_server, archive=packed(GOOD)))
    with pytest.raises(DevError, match=r"failed after|ended after"):
        fetch(web_server, into=tmp_path)


def test_a_missing_archive_names_its_address(web_server: WebServer, tmp_path: Path) -> None:
    del web_server.files[offer(web_server, archive=packed(GOOD))]
    with pytest.raises(DevError, match=r"envtest-v1\.36\.2.* returned 404"):
        fetch(web_server, into=tmp_path)


@pytest.mark.parametrize("name", ["../../etcd", "/tmp/etcd", "controller-tools/../../../etcd"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(
    name: str, web_server: WebServer, tmp_path: Path
) -> None:
    offer(web_server, archive=packed({name: b"evil", **GOOD}))
    with pytest.raises(DevError, match="not safe to unpack"):
        fetch(web_server, into=tmp_path)
    assert not any((tmp_path / program).exists() for program in VERSIONS)


def test_a_link_in_place_of_a_program_is_refused(web_server: WebServer, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("controller-tools/envtest/etcd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    offer(web_server, archive=buffer.getvalue())
    with pytest.raises(DevError, match="etcd is not a regular file"):
        fetch(web_server, into=tmp_path)


def test_an_archive_without_all_programs_names_the_missing_ones(
    web_server: WebServer, tmp_path: Path
) -> None:
    offer(web_server, archive=packed({"controller-tools/envtest/etcd": program("etcd")}))
    with pytest.raises(DevError, match="does not contain kube-apiserver, kubectl"):
        fetch(web_server, into=tmp_path)


def test_what_is_no_archive_is_refused_after_its_checksum_matched(
    web_server: WebServer, tmp_path: Path
) -> None:
    offer(web_server, archive=b"<html>sign in to this network</html>")
    with pytest.raises(DevError, match="cannot be unpacked"):
        fetch(web_server, into=tmp_path)


def test_a_page_in_place_of_the_index_is_refused(web_server: WebServer, tmp_path: Path) -> None:
    web_server.files["/envtest-releases.yaml"] = b"<html>sign in to this network</html>"
    with pytest.raises(DevError, match="has no `releases`"):
        fetch(web_server, into=tmp_path)


def test_off_asks_no_one(web_server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(DevError, match="KELERY_ENVTEST_URL=off"):
        fetch_into(tmp_path, environment={"KELERY_ENVTEST_URL": "off"}, announce=print)
    assert web_server.asked == []


def test_an_address_that_is_none_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="check KELERY_ENVTEST_URL"):
        fetch_into(tmp_path, environment={"KELERY_ENVTEST_URL": "file:///etc"}, announce=print)


def test_the_newest_patch_of_our_release_is_chosen_by_number_not_by_text() -> None:
    index = {
        "releases": {**release("v1.36.9"), **release("v1.36.10"), **release("v1.37.0"), **release("v1.35.1")}
    }
    assert choose_archive(index, base="").release == "v1.36.10"


def test_a_release_without_this_platform_is_passed_over() -> None:
    other = {"v1.36.10": {"envtest-v1.36.10-plan9-mips.tar.gz": {"hash": "0", "selfLink": "x"}}}
    assert choose_archive({"releases": {**release("v1.36.9"), **other}}, base="").release == "v1.36.9"


def test_an_index_without_our_release_says_which_is_wanted() -> None:
    with pytest.raises(DevError, match=r"no archive of Kubernetes 1\.36"):
        choose_archive({"releases": release("v1.35.0")}, base="")
