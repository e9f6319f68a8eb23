"""The embedded Valkey keeps what it acknowledged, listens on loopback, and cleans up after itself."""

from pathlib import Path

import psutil
import redis

from kelery_dev.stack.valkey import ValkeyServer


def test_what_was_acknowledged_survives_a_crash(tmp_path: Path) -> None:
    server = ValkeyServer(folder=tmp_path / "data", durable=True)
    with server, redis.Redis.from_url(server.url) as client:
        client.set("run", "admitted")
        client.function_load("#!lua name=kept\nredis.register_function('kept_f', function() return 7 end)")
        server.kill()
    again = ValkeyServer(folder=tmp_path / "data", port=server.port, durable=True)
    with again, redis.Redis.from_url(again.url) as client:
        assert client.get("run") == b"admitted"
        assert client.fcall("kept_f", 0) == 7


def test_a_durable_server_writes_through_and_evicts_nothing(tmp_path: Path) -> None:
    server = ValkeyServer(folder=tmp_path, durable=True)
    with server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        found = {
            name: client.config_get(name)[name]
            for name in ("appendonly", "appendfsync", "maxmemory-policy", "save", "protected-mode")
        }
    assert found == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "protected-mode": "yes",
    }


def test_it_listens_on_loopback_only(valkey_server: ValkeyServer) -> None:
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(valkey_server.pid).net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_a_throw_away_server_removes_its_folder() -> None:
    with ValkeyServer() as server:
        folder = server.settings.folder
        assert folder.exists()
    assert not folder.exists()


def test_each_test_gets_an_empty_database_part_one(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_each_test_gets_an_empty_database_part_two(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
