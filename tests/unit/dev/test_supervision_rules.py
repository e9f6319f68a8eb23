"""The pure rules of the stack: back-off, exit codes, what `--reload` watches, which queues are used."""

from pathlib import Path

import pytest

from kelery_dev.stack.app_check import AppFacts
from kelery_dev.stack.reload import watched_folders
from kelery_dev.stack.services import (
    Programs,
    gateway_service,
    operator_service,
    valkey_service,
    worker_service,
)
from kelery_dev.stack.valkey import ValkeySettings
from kelery_dev.supervise.backoff import Backoff
from kelery_dev.supervise.service import Service, describe_exit


def stop_seconds(service: Service) -> float:
    """The longest time that stopping a service can take."""
    return sum(step.seconds for step in service.stop_steps)


def delays(lives: list[float]) -> list[float]:
    """The restart delays after deaths at these ages."""
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
    watched = watched_folders("kelery_dev.stack.stack", cwd=tmp_path)
    assert [folder.path.name for folder in watched] == ["kelery_dev"]
    assert watched[0].deep


def test_an_app_that_is_nowhere_is_not_watched(tmp_path: Path) -> None:
    assert watched_folders("no_such_module_anywhere", cwd=tmp_path) == []


def test_all_of_kelery_uses_the_same_ledger_whatever_the_shell_says() -> None:
    url = "redis://127.0.0.1:1/0"
    worker = worker_service(Programs(), app="proj", concurrency=3, redis_url=url)
    operator = operator_service(Programs(), kubeconfig=Path("/k"), redis_url=url, health_port=2)
    assert worker.command.argv[-4:] == ("-A", "proj", "-c", "3")
    assert {worker.command.env[name] for name in ("KELERY_REDIS_URL", "CELERY_BROKER_URL")} == {url}
    assert {operator.command.env[name] for name in ("KELERY_REDIS_URL", "REDIS_URL")} == {url}
    assert operator.command.env["KUBECONFIG"] == "/k"
    gateway = gateway_service(Programs(), kubeconfig=Path("/k"), redis_url=url, port=3)
    assert {gateway.command.env[name] for name in ("KELERY_REDIS_URL", "REDIS_URL")} == {url}
    assert gateway.command.env["KUBECONFIG"] == "/k"
    assert (gateway.command.env["KELERY_API_ADDR"], gateway.where) == ("127.0.0.1:3", "http://127.0.0.1:3")


def test_the_worker_takes_the_queues_that_were_chosen() -> None:
    worker = worker_service(Programs(), app="proj", concurrency=3, redis_url="redis://h/0", queues="a,b")
    assert worker.command.argv[-2:] == ("-Q", "a,b")


def test_with_reload_runs_get_more_time() -> None:
    worker = worker_service(Programs(), app="proj", concurrency=3, redis_url="redis://h/0", reload=True)
    drain = float(worker.command.env["KELERY_DRAIN_SECONDS"])
    assert drain == 10
    assert worker.reload_steps[0].seconds > drain


@pytest.mark.parametrize("reload", [False, True])
def test_the_whole_stack_stops_in_fifteen_seconds_even_if_each_part_takes_its_time(reload: bool) -> None:
    kubeconfig, url = Path("/k"), "redis://h/0"
    worker = worker_service(Programs(), app="proj", concurrency=3, redis_url=url, reload=reload)
    apis = (
        operator_service(Programs(), kubeconfig=kubeconfig, redis_url=url, health_port=2),
        gateway_service(Programs(), kubeconfig=kubeconfig, redis_url=url, port=3),
    )
    servers = [valkey_service(ValkeySettings(port=4, folder=Path("/v")))] * 3
    longest_api = max(stop_seconds(api) for api in apis)
    assert longest_api + stop_seconds(worker) + sum(map(stop_seconds, servers)) < 14


def test_operator_and_gateway_use_the_apps_default_queue_unless_a_person_said_otherwise() -> None:
    queues = AppFacts(default="proj", taken=("proj",), key_prefix="p:")
    assert queues.control_plane_variables({"KELERY_DEFAULT_QUEUE": " "}) == {
        "KELERY_DEFAULT_QUEUE": "proj",
        "KELERY_BROKER_KEY_PREFIX": "p:",
    }
    said = {"KELERY_DEFAULT_QUEUE": "other", "KELERY_BROKER_KEY_PREFIX": "q:"}
    assert queues.control_plane_variables(said) == {}


@pytest.mark.parametrize(
    ("chosen", "said", "warned"),
    [
        (None, {}, False),
        ("high, proj", {}, False),
        ("high", {}, True),
        ("high", {"KELERY_DEFAULT_QUEUE": "high"}, False),
        (None, {"KELERY_DEFAULT_QUEUE": "high"}, True),
    ],
)
def test_a_default_queue_that_the_worker_does_not_take_is_warned_of(
    chosen: str | None, said: dict[str, str], warned: bool
) -> None:
    warning = AppFacts(default="proj", taken=("proj",)).warning(chosen=chosen, environ=said)
    assert bool(warning) is warned
    if warned:
        assert "--queues" in warning
