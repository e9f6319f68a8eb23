"""The ports of a stack: remembered between starts, and reserved against other stacks."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kelery_dev.errors import DevError
from kelery_dev.stack.reserved_port import ReservedPort
from kelery_dev.supervise import ports


def refused(number: int) -> pytest.RaisesExc[DevError]:
    """The error that a second stack gets."""
    return pytest.raises(
        DevError, match=f"port {number} is in use .* REST gateway needs it: choose another with --port"
    )


def gateway(number: int) -> socket.socket:
    """A listening socket, like the gateway's."""
    return socket.create_server(("127.0.0.1", number))


def test_a_port_in_use_is_refused_by_number() -> None:
    reserved = ReservedPort(ports.free_port())
    with refused(reserved.number):
        ReservedPort(reserved.number)
    reserved.release()
    with gateway(reserved.number), refused(reserved.number):
        ReservedPort(reserved.number)
    ReservedPort(reserved.number).release()


def test_no_other_stack_gets_a_port_before_during_and_after_each_life_of_its_gateway() -> None:
    reserved = ReservedPort(0)
    for _ in range(2):
        with refused(reserved.number):
            ReservedPort(reserved.number)
        with gateway(reserved.number), refused(reserved.number):
            ReservedPort(reserved.number)
    with refused(reserved.number):
        ReservedPort(reserved.number)
    reserved.release()


def test_connections_that_a_gateway_has_closed_do_not_keep_the_next_stack_away() -> None:
    reserved = ReservedPort(0)
    with gateway(reserved.number) as server:
        client = socket.create_connection(("127.0.0.1", reserved.number), timeout=5)
        accepted, _ = server.accept()
        # The side that closes first, here the server, waits a minute for late packets.
        accepted.close()
        assert client.recv(1) == b""
        client.close()
    reserved.release()
    ReservedPort(reserved.number).release()


def test_a_reserved_port_refuses_connections() -> None:
    number = ports.free_port()
    reserved = ReservedPort(number)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), timeout=1)
    reserved.release()


def test_a_port_that_a_process_was_given_goes_to_no_other_process_while_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give = "from kelery_dev.supervise.ports import free_port; print(free_port(), flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", give], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    number = int(other.stdout.readline())
    monkeypatch.setattr(ports, "_RANGE", range(number, number + 1))
    with pytest.raises(OSError, match="no free port"):
        ports.free_port()
    other.communicate("\n")
    assert ports.free_port() == number
    with pytest.raises(OSError, match="no free port"):
        ports.free_port()


def test_ports_are_the_same_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = ports.remembered_ports(file, names=("a", "b"))
    assert ports.remembered_ports(file, names=("a", "b")) == first
    assert first["a"] != first["b"]


def test_a_port_that_was_taken_meanwhile_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = ports.remembered_ports(file, names=("a", "b"))
    with socket.create_server(("127.0.0.1", first["a"])):
        second = ports.remembered_ports(file, names=("a", "b"))
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


def test_two_callers_share_a_file_of_ports(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    one = ports.remembered_ports(file, names=("a",))
    two = ports.remembered_ports(file, names=("b",))
    assert json.loads(file.read_text()) == {**one, **two}


@pytest.mark.parametrize("content", ["", "[]", '{"a": "x"}', '{"a": 99999}', "{"])
def test_a_damaged_file_of_ports_counts_as_none(content: str, tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text(content)
    assert ports.is_free(ports.remembered_ports(file, names=("a",))["a"])
