"""The files of a state directory: the lock, the shell's env file, the kubeconfig."""

import json
import subprocess
from pathlib import Path

import pytest

from kelery_dev.control_plane.kubeconfig_file import write_kubeconfig
from kelery_dev.errors import DevError
from kelery_dev.stack.state_dir import StateDir, env_file


def test_a_shell_gets_every_value_back_whatever_it_contains(tmp_path: Path) -> None:
    nasty = "/tmp/a b/$HOME/`id`/'quoted'/\"x\"; echo no"
    file = tmp_path / "env"
    file.write_text(
        env_file(variables={"KUBECONFIG": nasty, "REDIS_URL": "redis://h/0"}, path_folder=Path(nasty))
    )
    done = subprocess.run(
        ["sh", "-c", f'. {file}; printf "%s\\n" "$KUBECONFIG" "$REDIS_URL" "$PATH"'],
        env={"PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [nasty, "redis://h/0", f"{nasty}:/usr/bin"]


def test_path_is_left_alone_for_a_person_who_has_kubectl() -> None:
    assert env_file(variables={"A": "b"}, path_folder=None) == "export A=b\n"


def test_a_state_directory_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    first = StateDir(tmp_path / "state")
    with pytest.raises(
        DevError, match=r"another kelery dev \(process \d+\) uses .*; stop it or choose another"
    ):
        StateDir(tmp_path / "state")
    first.release()
    StateDir(tmp_path / "state").release()


def test_a_state_directory_keeps_itself_out_of_git(tmp_path: Path) -> None:
    StateDir(tmp_path / "state").release()
    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"


def test_a_file_in_place_of_the_state_directory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(DevError, match=r"cannot use the state directory .*state .* --state-dir"):
        StateDir(tmp_path / "state")


def test_a_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    certificate, file = tmp_path / "crt", tmp_path / "kubeconfig"
    certificate.write_text("pem")
    file.write_text("old")
    file.chmod(0o644)
    write_kubeconfig(file, server="https://127.0.0.1:1", certificate=certificate, token="secret")
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["users"][0]["user"] == {"token": "secret"}
