"""The pure rules of the supervisor: back-off, exit codes, and what `--reload` watches."""

from pathlib import Path

import pytest

from kelery_dev.backoff import Backoff
from kelery_dev.part import describe_exit
from kelery_dev.reload import watched_folders
from kelery_dev.stack_parts import Programs, operator_part, worker_part


def delays(lives: list[float]) -> list[float]:
    """The waits after a series of deaths at these ages."""
    state, found = Backoff(), []
    for lived in lives:
        state = state.after_death(lived=lived)
        found.append(state.delay)
    return found


def test_the_wait_doubles_from_one_second_to_thirty() -> None:
    assert delays([0.1] * 7) == [1, 2, 4, 8, 16, 30, 30]


def test_a_part_that_stayed_up_for_a_while_begins_a_new_series() -> None:
    assert delays([0.1, 0.1, 3600, 0.1]) == [1, 2, 1, 2]


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (3, "exit code 3"), (-9, "signal SIGKILL")])
def test_an_exit_code_is_put_into_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


def test_a_project_is_watched_without_hidden_folders_and_virtual_environments(tmp_path: Path) -> None:
    for name in ("proj", "lib", ".kelery", ".git", "__pycache__", "node_modules", "env"):
        (tmp_path / name).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    watched = watched_folders("proj.celery:app", cwd=tmp_path)
    assert {(folder.path.name, folder.deep) for folder in watched} == {
        (tmp_path.name, False),
        ("proj", True),
        ("lib", True),
    }


def test_an_installed_app_is_watched_where_it_is_installed(tmp_path: Path) -> None:
    watched = watched_folders("kelery_dev.stack", cwd=tmp_path)
    assert [folder.path.name for folder in watched] == ["kelery_dev"]
    assert watched[0].deep


def test_an_app_that_is_nowhere_is_not_watched(tmp_path: Path) -> None:
    assert watched_folders("no_such_module_anywhere", cwd=tmp_path) == []


def test_worker_and_operator_use_the_same_ledger_whatever_the_shell_says() -> None:
    url = "redis://127.0.0.1:1/0"
    worker = worker_part(Programs(), app="proj", concurrency=3, redis_url=url)
    operator = operator_part(Programs(), kubeconfig=Path("/k"), redis_url=url, health_port=2)
    assert worker.command.argv[-4:] == ("-A", "proj", "-c", "3")
    assert {worker.command.env[name] for name in ("KELERY_REDIS_URL", "CELERY_BROKER_URL")} == {url}
    assert {operator.command.env[name] for name in ("KELERY_REDIS_URL", "REDIS_URL")} == {url}
    assert operator.command.env["KUBECONFIG"] == "/k"
