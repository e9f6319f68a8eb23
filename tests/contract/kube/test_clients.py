"""Operator, gateway, command line and benchmark reach an API server in the same way."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kelery.errors import KeleryError, SettingsError
from kelery.kube.answer import KubeError
from kelery.kube.credentials import Credentials
from kelery.kube.kubeconfig import from_kubeconfig
from kelery.kube.login import Login
from kelery.kube.session import ClusterSession
from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.api_client import connected, prepare
from kelery_operator.kopf_watch import login_handler
from tests.contract.kube.clients import CLIENTS, Ask
from tests.support.certificates import Authority
from tests.support.kubeconfigs import Plugin, kubeconfig
from tests.support.played_api_server import ApiServer, played_api_server, played_proxy

NAME = "api.cluster.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[ApiServer]:
    """Its certificate does not have the address, only a name."""
    with played_api_server(authority.server_context(tmp_path, hosts=[NAME])) as played:
        yield played


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path / "plugin")


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest) -> Ask:
    return CLIENTS[request.param]


def cluster_of(server: ApiServer, authority: Authority, **said: Any) -> dict[str, Any]:
    data = base64.b64encode(authority.certificate.encode()).decode()
    cluster = {"server": server.url, "certificate-authority-data": data, "tls-server-name": NAME}
    return {**cluster, **said}


def login_of(folder: Path, *, cluster: dict[str, Any], user: dict[str, Any]) -> Login:
    return Login(partial(from_kubeconfig, [kubeconfig(folder / "config", cluster=cluster, user=user)]))


def test_the_servers_name_is_the_one_that_the_kubeconfig_says(
    ask: Ask, server: ApiServer, authority: Authority, tmp_path: Path
) -> None:
    server.accepts = {"good"}
    cluster = cluster_of(server, authority)
    assert ask(login_of(tmp_path, cluster=cluster, user={"token": "good"})) == 200
    assert set(server.server_names) == {NAME}


@pytest.mark.parametrize("name", [None, "other.example"])
def test_a_server_of_another_name_is_not_talked_to(
    ask: Ask, server: ApiServer, authority: Authority, tmp_path: Path, name: str | None
) -> None:
    cluster = {**cluster_of(server, authority), "tls-server-name": name}
    with pytest.raises(Exception, match=r"(?i)certificate"):
        ask(login_of(tmp_path, cluster=cluster, user={"token": "good"}))
    assert server.seen == []


def test_a_server_of_another_authority_is_not_talked_to(ask: Ask, server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"(?i)certificate"):
        ask(login_of(tmp_path, cluster=cluster_of(server, Authority()), user={"token": "good"}))
    assert server.seen == []


def test_whoever_wants_it_so_verifies_nothing(ask: Ask, server: ApiServer, tmp_path: Path) -> None:
    server.accepts = {"good"}
    cluster = {"server": server.url, "insecure-skip-tls-verify": True}
    assert ask(login_of(tmp_path, cluster=cluster, user={"token": "good"})) == 200


def test_a_client_certificate_is_shown(
    ask: Ask, server: ApiServer, authority: Authority, tmp_path: Path
) -> None:
    server.accepts = {"somebody"}
    pair = authority.pair("somebody")
    (tmp_path / "crt").write_text(pair.certificate)
    (tmp_path / "key").write_text(pair.private_key)
    user = {"client-certificate": "crt", "client-key": "key"}
    assert ask(login_of(tmp_path, cluster=cluster_of(server, authority), user=user)) == 200
    assert {seen.client for seen in server.seen} == {"somebody"}


def test_a_plug_in_hands_out_a_client_certificate(
    ask: Ask, server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    server.accepts = {"somebody"}
    pair = authority.pair("somebody")
    plugin.hands_out(clientCertificateData=pair.certificate, clientKeyData=pair.private_key)
    assert ask(login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())) == 200
    assert plugin.runs == 1


def test_a_proxy_carries_everything(
    ask: Ask, server: ApiServer, authority: Authority, tmp_path: Path
) -> None:
    server.accepts = {"good"}
    with played_proxy() as proxy:
        url = proxy.url.replace("http://", "http://me:p%40ss@")
        cluster = cluster_of(server, authority, **{"proxy-url": url})
        assert ask(login_of(tmp_path, cluster=cluster, user={"token": "good"})) == 200
        assert proxy.heads
        for head in proxy.heads:
            assert head.startswith(f"CONNECT {server.url.removeprefix('https://')} HTTP/1.")
            assert f"Basic {base64.b64encode(b'me:p@ss').decode()}\r\n" in head
    assert set(server.server_names) == {NAME}


def test_a_proxy_of_the_environment_is_not_used_behind_the_kubeconfigs_back(
    ask: Ask, server: ApiServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    server.accepts = {"good"}
    # The server is on this machine.
    assert ask(login_of(tmp_path, cluster=cluster_of(server, authority), user={"token": "good"})) == 200


@pytest.mark.parametrize("name", ["command line", "program", "benchmark"])
def test_a_refusal_leads_to_a_new_run_of_the_plug_in(
    name: str, server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    server.accepts = {"second"}
    plugin.hands_out(token="first")
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())
    assert login.credentials().token == "first"
    plugin.hands_out(token="second")
    assert CLIENTS[name](login) == 200
    assert plugin.runs == 2
    assert [seen.authorization for seen in server.seen] == ["Bearer first", "Bearer second"]
    # From now on it uses the new one.
    assert CLIENTS[name](login) == 200
    assert plugin.runs == 2


def test_kopf_is_given_others_when_those_that_it_has_are_refused(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    plugin.hands_out(token="first")
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())

    async def work() -> None:
        log_in = login_handler(login)
        assert (await log_in()).as_http_headers() == {"Authorization": "Bearer first"}
        plugin.hands_out(token="second")
        assert (await log_in()).as_http_headers() == {"Authorization": "Bearer second"}
        with pytest.raises(Exception, match="refuses the credentials"):
            await log_in()

    asyncio.run(work())
    assert plugin.runs == 2


def test_kopf_logs_in_again_when_a_token_expires(plugin: Plugin, tmp_path: Path) -> None:
    expires_at = time.time() + 600
    plugin.hands_out(token="t", expires_at=expires_at)
    login = login_of(tmp_path, cluster={"server": "https://x"}, user=plugin.user())

    async def work() -> datetime | None:
        return (await login_handler(login)()).expiration

    expiration = asyncio.run(work())
    assert expiration is not None
    # RFC 3339 without fractions.
    assert expiration.timestamp() == pytest.approx(expires_at, abs=1)


def test_refused_for_good_is_an_answer_to_the_command_line_and_an_error_to_programs(
    server: ApiServer, authority: Authority, tmp_path: Path
) -> None:
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user={"token": "bad"})
    assert CLIENTS["command line"](login) == 401
    with pytest.raises(KubeError) as refused:
        CLIENTS["program"](login)
    assert refused.value.status == 401


def test_nobody_there_is_the_same_error(authority: Authority) -> None:
    login = Login(lambda: Credentials(server="https://127.0.0.1:1", token="s3cret"))
    for name in ("command line", "program"):
        with pytest.raises(KubeError, match="does not answer") as silent:
            CLIENTS[name](login)
        assert silent.value.status == 0
        assert "s3cret" not in str(silent.value)


def test_many_requests_at_once_run_the_plug_in_once_and_hold_nothing_else_up(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    server.accepts = {"good"}
    plugin.hands_out(token="good")
    plugin.takes(1.0)
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())

    async def work() -> int:
        """How often the loop did something else while the plug-in ran."""
        session = ClusterSession(login, client_name="test")
        turns, asked = 0, asyncio.gather(*(session.request("GET", "/api") for _ in range(20)))
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert {answer.status for answer in await asked} == {200}
        await session.close()
        return turns

    assert asyncio.run(work()) >= 10
    assert plugin.runs == 1


def test_a_plug_in_that_takes_too_long_holds_a_request_up_no_longer_than_it_may_wait(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    plugin.hands_out(token="good")
    seconds = 20
    plugin.takes(seconds)
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())

    async def work() -> None:
        session = ClusterSession(login, client_name="test", request_seconds=0.3)
        with pytest.raises(KubeError, match="still being renewed"):
            await session.request("GET", "/api")
        await session.close()

    began = time.monotonic()
    asyncio.run(work())
    # The loop's end does not wait for it either.
    assert time.monotonic() - began < seconds


def test_a_plug_in_that_fails_later_is_said_without_what_it_printed(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    plugin.hands_out(token="bad")
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())
    login.credentials()
    plugin.fails(status=3)
    with pytest.raises(KubeError, match=r"cannot renew .* failed with exit status 3") as failed:
        CLIENTS["program"](login)
    assert "s3cret" not in str(failed.value)
    with pytest.raises(SettingsError, match="failed with exit status 3"):
        CLIENTS["command line"](login)


def test_a_renewed_certificate_opens_new_connections(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    pairs = {name: authority.pair(name) for name in ("first", "second")}

    def hand_out(name: str) -> None:
        pair = pairs[name]
        plugin.hands_out(clientCertificateData=pair.certificate, clientKeyData=pair.private_key)

    hand_out("first")
    server.accepts = {"first"}
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())

    async def work() -> None:
        session = ClusterSession(login, client_name="test")
        assert (await session.request("GET", "/api")).status == 200
        hand_out("second")
        server.accepts = {"second"}
        assert (await session.request("GET", "/api")).status == 200
        await session.close()

    asyncio.run(work())
    assert [seen.client for seen in server.seen] == ["first", "first", "second"]
    assert SyncSession(login).request("GET", path="/api").status == 200


def test_a_connection_of_the_benchmark_takes_up_a_renewed_token(
    server: ApiServer, authority: Authority, plugin: Plugin, tmp_path: Path
) -> None:
    server.accepts = {"first", "second"}
    plugin.hands_out(token="first", expires_at=time.time() + 3)
    login = login_of(tmp_path, cluster=cluster_of(server, authority), user=plugin.user())
    request = prepare(server.url, "GET", "/api", status=200)

    async def work() -> None:
        async with connected(SyncSession(login)) as connection:
            plugin.hands_out(token="second")
            await connection.send(request)
            await asyncio.sleep(2)
            await connection.send(request)

    asyncio.run(work())
    assert [seen.authorization for seen in server.seen] == ["Bearer first"] * 2 + ["Bearer second"]


def test_lines_come_one_by_one(server: ApiServer, authority: Authority, tmp_path: Path) -> None:
    server.accepts = {"good"}
    cluster = cluster_of(server, authority)

    async def read(token: str) -> list[bytes]:
        login = login_of(tmp_path, cluster=cluster, user={"token": token})
        session = ClusterSession(login, client_name="test")
        try:
            async with session.lines("/watch", query={"watch": "true"}) as lines:
                return [line async for line in lines]
        finally:
            await session.close()

    assert asyncio.run(read("good")) == [b'{"n": 1}\n', b'{"n": 2}\n']
    with pytest.raises(KeleryError, match="401"):
        asyncio.run(read("bad"))
