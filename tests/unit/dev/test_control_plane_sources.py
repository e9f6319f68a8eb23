"""The order of the control plane's sources; the cache never holds an incomplete set."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from kelery_dev.control_plane.cache import Announce, cache_entry, cache_home
from kelery_dev.control_plane.sources import SOURCES, find_control_plane
from kelery_dev.errors import DevError
from tests.support.versioned_programs import MakePrograms


class Sources:
    """Sources that record their calls, and fail unless a function to fill the folder is given."""

    def __init__(self, **fills: MakePrograms) -> None:
        self.asked: list[str] = []
        self.table = {name: self._source(name, fill=fills.get(name)) for name in ("download", "build")}

    def _source(self, name: str, *, fill: MakePrograms | None) -> MakePrograms:
        def source(folder: Path, *, environment: Mapping[str, str], announce: Announce) -> Path:
            self.asked.append(name)
            if not fill:
                raise DevError(f"no luck with {name}")
            return fill(folder)

        return source


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"KELERY_CACHE_DIR": str(tmp_path / "cache"), "PATH": str(tmp_path / "empty")}


def test_assets_named_by_the_environment_come_before_the_cache(
    environment: dict[str, str], make_programs: MakePrograms, tmp_path: Path
) -> None:
    make_programs(cache_entry(environment).folder)
    environment["KUBEBUILDER_ASSETS"] = str(make_programs(tmp_path / "mine"))
    found = find_control_plane(environment=environment, sources={})
    assert found.kube_apiserver == tmp_path / "mine" / "kube-apiserver"


def test_unusable_assets_are_refused_and_not_passed_over(
    environment: dict[str, str], make_programs: MakePrograms, tmp_path: Path
) -> None:
    make_programs(cache_entry(environment).folder)
    environment["KUBEBUILDER_ASSETS"] = str(make_programs(tmp_path / "mine", without="etcd"))
    with pytest.raises(DevError, match=r"cannot use KUBEBUILDER_ASSETS: .* has no etcd"):
        find_control_plane(environment=environment, sources={})


def test_the_cache_comes_before_any_download(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    folder = make_programs(cache_entry(environment).folder)
    sources = Sources()
    assert find_control_plane(environment=environment, sources=sources.table).folder == folder
    assert sources.asked == []


def test_a_download_comes_before_a_build_and_fills_the_cache(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    sources = Sources(download=make_programs, build=make_programs)
    first = find_control_plane(environment=environment, sources=sources.table)
    second = find_control_plane(environment=environment, sources=sources.table)
    assert sources.asked == ["download"]
    assert first == second
    assert first.folder == cache_entry(environment).folder


def test_a_build_comes_last_and_what_failed_before_is_announced(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    sources, lines = Sources(build=make_programs), list[str]()
    find_control_plane(environment=environment, announce=lines.append, sources=sources.table)
    assert sources.asked == ["download", "build"]
    assert lines == ["control plane: download failed: no luck with download"]


def test_the_real_order_is_download_then_build() -> None:
    assert list(SOURCES) == ["download", "build with Go"]


def test_with_nothing_left_the_error_names_every_option_and_why_it_failed(
    environment: dict[str, str],
) -> None:
    with pytest.raises(DevError) as caught:
        find_control_plane(environment={**environment, "KELERY_ENVTEST_URL": "off"}, announce=lambda _: None)
    message = str(caught.value)
    for expected in (
        "--kubeconfig FILE",
        "KUBEBUILDER_ASSETS: not set",
        "KELERY_CACHE_DIR",
        "download: disabled by KELERY_ENVTEST_URL=off",
        "build with Go: go is not in PATH",
    ):
        assert expected in message


def test_a_source_that_delivers_a_broken_program_leaves_no_entry(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    def broken(folder: Path) -> Path:
        return make_programs(folder, etcd="no version here")

    with pytest.raises(DevError, match="does not print its version"):
        find_control_plane(
            environment=environment, announce=lambda _: None, sources=Sources(download=broken).table
        )
    assert [path.suffix for path in cache_entry(environment).home.iterdir()] == [".lock"]


def test_an_interruption_leaves_nothing_half_made_and_says_so(environment: dict[str, str]) -> None:
    def interrupted(folder: Path, **_: object) -> Path:
        (folder / "etcd").touch()
        raise KeyboardInterrupt

    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        find_control_plane(
            environment=environment, announce=lines.append, sources=Sources(download=interrupted).table
        )
    assert lines == ["control plane: download interrupted; partial files are removed"]
    assert [path.suffix for path in cache_entry(environment).home.iterdir()] == [".lock"]


def test_a_damaged_entry_is_made_anew(environment: dict[str, str], make_programs: MakePrograms) -> None:
    folder = make_programs(cache_entry(environment).folder, without="kube-apiserver")
    (folder / "leftover").touch()
    lines: list[str] = []
    found = find_control_plane(
        environment=environment, announce=lines.append, sources=Sources(download=make_programs).table
    )
    assert found.kube_apiserver.exists()
    assert not (folder / "leftover").exists()
    assert "damaged" in lines[0]


def test_what_a_killed_process_left_behind_is_swept(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    entry = cache_entry(environment)
    left = make_programs(entry.home / f".{entry.name}.staging-dead")
    find_control_plane(
        environment=environment, announce=lambda _: None, sources=Sources(download=make_programs).table
    )
    assert not left.exists()


def test_of_two_callers_one_fills_the_cache_and_the_other_waits_and_says_so(
    environment: dict[str, str], make_programs: MakePrograms
) -> None:
    filling, go_on, lines = threading.Event(), threading.Event(), list[str]()

    def slow(folder: Path) -> Path:
        filling.set()
        assert go_on.wait(timeout=10)
        return make_programs(folder)

    def announce(line: str) -> None:
        lines.append(line)
        if "waiting for another process" in line:
            go_on.set()

    sources, found = Sources(download=slow), list[Path]()

    def call() -> None:
        found.append(
            find_control_plane(environment=environment, announce=announce, sources=sources.table).folder
        )

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=15)
    assert sources.asked == ["download"]
    assert found == [cache_entry(environment).folder] * 2
    assert go_on.is_set(), lines


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"KELERY_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/kelery")),
        ({}, Path.home() / ".cache" / "kelery"),
    ],
)
def test_the_cache_is_where_the_environment_says(environment: dict[str, str], expected: Path) -> None:
    assert cache_home(environment) == expected


@pytest.mark.parametrize(
    ("versions", "complaint"),
    [
        ({"kube-apiserver": "Kubernetes v1.28.0"}, r"1\.28\.0; Kelery needs 1\.32"),
        ({"etcd": "etcd Version: 3.4.23"}, r"3\.4\.23; Kelery needs 3\.5"),
    ],
)
def test_programs_that_are_too_old_are_refused(
    versions: dict[str, str],
    complaint: str,
    environment: dict[str, str],
    make_programs: MakePrograms,
    tmp_path: Path,
) -> None:
    environment["KUBEBUILDER_ASSETS"] = str(make_programs(tmp_path / "mine", **versions))
    with pytest.raises(DevError, match=complaint):
        find_control_plane(environment=environment, sources={})
