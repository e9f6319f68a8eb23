"""How the build calls Go, with a fake `go` that only records its calls; a real build takes minutes."""

from pathlib import Path

import pytest

from kelery_dev.control_plane.go_build import build_into, kubernetes_release
from kelery_dev.errors import DevError
from tests.support.versioned_programs import program

GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version {version} linux/amd64"; exit; fi
echo "$CGO_ENABLED $GOFLAGS $*" >> "$NOTES"
: > "$GOTMPDIR/go-build-left-behind" || exit 4
while [ "$1" != -o ]; do shift; done
{build}
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def put_go(tools: Path, *, version: str = "go1.26.0", build: str = 'echo > "$2"') -> dict[str, str]:
    """Install the fake `go`; return the environment that uses it."""
    (tools / "go").write_text(GO.format(version=version, build=build))
    (tools / "go").chmod(0o755)
    return {"PATH": str(tools), "NOTES": str(tools / "notes")}


def put_etcd(tools: Path, *, version: str) -> None:
    (tools / "etcd").write_bytes(program("etcd", version=f"etcd Version: {version}"))
    (tools / "etcd").chmod(0o755)


def test_the_pinned_release_is_stamped_into_what_is_built(tools: Path, tmp_path: Path) -> None:
    build_into(tmp_path, environment=put_go(tools), announce=lambda _: None)
    notes = (tools / "notes").read_text().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in notes] == [
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kubectl",
    ]
    assert all(line.startswith("0 -mod=readonly build") for line in notes)
    assert all(f"gitVersion={kubernetes_release()}" in line for line in notes)


def test_no_temporary_folder_of_go_is_left_in_what_was_built(tools: Path, tmp_path: Path) -> None:
    folder = tmp_path / "built"
    folder.mkdir()
    build_into(folder, environment=put_go(tools), announce=lambda _: None)
    assert sorted(path.name for path in folder.iterdir()) == ["etcd", "kube-apiserver", "kubectl"]


def test_a_new_enough_etcd_on_path_is_taken(tools: Path, tmp_path: Path) -> None:
    put_etcd(tools, version="3.5.9")
    build_into(tmp_path, environment=put_go(tools), announce=lambda _: None)
    assert "go.etcd.io" not in (tools / "notes").read_text()
    assert (tmp_path / "etcd").read_bytes() == (tools / "etcd").read_bytes()


def test_an_old_etcd_on_path_is_not_taken(tools: Path, tmp_path: Path) -> None:
    put_etcd(tools, version="3.4.23")
    build_into(tmp_path, environment=put_go(tools), announce=lambda _: None)
    assert "go.etcd.io" in (tools / "notes").read_text()


def test_a_failed_build_shows_what_the_compiler_said(tools: Path, tmp_path: Path) -> None:
    environment = put_go(tools, build="echo 'cannot find module'; exit 3")
    with pytest.raises(
        DevError, match=r"go build of etcd \(1 of 3\) failed with code 3:\n.*cannot find module"
    ):
        build_into(tmp_path, environment=environment, announce=lambda _: None)


def test_an_old_go_is_refused(tools: Path, tmp_path: Path) -> None:
    with pytest.raises(DevError, match=r"older than 1\.21"):
        build_into(tmp_path, environment=put_go(tools, version="go1.19.8"), announce=lambda _: None)


def test_without_go_the_error_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DevError, match=r"go is not in PATH \(https://go.dev/dl\)"):
        build_into(tmp_path, environment={"PATH": str(tmp_path)}, announce=lambda _: None)
