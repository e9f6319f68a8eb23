"""The authorizer with a real API server: real service accounts, tokens and RBAC."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from kelery.kube.login import Login
from kelery.kube.session import ClusterSession
from kelery_api.access.authorizer import KubernetesAuthorizer
from kelery_api.access.bearer import expiry_of
from kelery_api.access.permission import AnyPermission, PathPermission, Permission
from kelery_api.access.reviews import ApiServerReviews
from kelery_api.http.problems import Kind, Problem
from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.accounts import Account, new_account, new_gateway_account, on_taskruns, use_of
from tests.support.frozen_process import frozen
from tests.support.tcp_proxy import TcpProxy

TASK = "demo.add"


@pytest.fixture(scope="module")
def gateway(control_plane: ControlPlane) -> Account:
    """The account of the authorizers in these tests."""
    return new_gateway_account(control_plane)


@pytest.fixture(scope="module")
def user(control_plane: ControlPlane) -> Account:
    """An account that can create and get TaskRuns in its namespace, and use one task."""
    account = new_account(control_plane)
    account.allow(on_taskruns("create", "get", "list"), use_of(TASK, "проект.задача"))
    return account


@contextlib.asynccontextmanager
async def gate_of(account: Account) -> AsyncIterator[KubernetesAuthorizer]:
    gate = KubernetesAuthorizer.connect(account.login())
    try:
        yield gate
    finally:
        await gate.close()


async def verdict(work: Awaitable[object]) -> Kind | None:
    """The problem's kind; None if the request was allowed."""
    try:
        await work
    except Problem as problem:
        return problem.kind
    return None


def play(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


async def eventually(ask: Callable[[], Awaitable[Kind | None]], *, expect: Kind | None) -> None:
    """Poll with an empty cache each time, because RBAC's informers need a moment."""
    until = time.monotonic() + 60
    while (found := await ask()) != expect:
        assert time.monotonic() < until, f"still {found}, not {expect}"
        await asyncio.sleep(0.1)


def test_a_token_for_the_gateway_identifies_its_user(gateway: Account, user: Account) -> None:
    async def work() -> None:
        async with gate_of(gateway) as gate:
            who = await gate.identify(f"Bearer {user.token('kelery')}")
            assert who.name == user.user
            assert who.uid
            assert {"system:serviceaccounts", "system:authenticated"} <= set(who.groups)
            assert await gate.identify(f"bearer {user.token('another', 'kelery')}")

    play(work)


def test_no_other_token_is_valid(gateway: Account, control_plane: ControlPlane, user: Account) -> None:
    gone = new_account(control_plane, namespace=user.namespace, name="gone")
    of_gone = gone.token("kelery")
    stranger = new_account(control_plane, namespace=user.namespace, name="stranger")
    now = int(time.time())
    refused = {
        "none": None,
        "junk": "Bearer junk",
        "two": "Bearer one two",
        "another audience": f"Bearer {user.token('another')}",
        "the API server's own audience": f"Bearer {user.token()}",
        "the administrator's": f"Bearer {control_plane.token}",
        "expired": f"Bearer {user.signed_token(iat=now - 900, nbf=now - 900, exp=now - 300)}",
        "not yet": f"Bearer {user.signed_token(nbf=now + 300)}",
        "of another issuer": f"Bearer {user.signed_token(iss='https://example.com')}",
        "changed": f"Bearer {_with_body_of(user.token('kelery'), stranger.token('kelery'))}",
        "of a deleted account": f"Bearer {of_gone}",
    }

    async def work() -> None:
        async with gate_of(gateway) as gate:
            assert (await gate.identify(f"Bearer {of_gone}")).name == gone.user
        gone.delete()
        async with gate_of(gateway) as gate:
            # Tokens created like the expired one can be valid.
            assert await gate.identify(f"Bearer {user.signed_token(exp=now + 300)}")

            async def deleted() -> Kind | None:
                async with gate_of(gateway) as fresh:
                    return await verdict(fresh.identify(f"Bearer {of_gone}"))

            # The API server itself caches valid tokens for ten seconds.
            await eventually(deleted, expect=Kind.UNAUTHENTICATED)
            found = {name: await verdict(gate.identify(header)) for name, header in refused.items()}
            assert found == dict.fromkeys(refused, Kind.UNAUTHENTICATED)

    play(work)


def _with_body_of(token: str, other: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{other.split('.')[1]}.{signature}"


def test_rbac_decides(gateway: Account, control_plane: ControlPlane, user: Account) -> None:
    other = new_account(control_plane).namespace
    here = user.namespace
    overseer = new_account(control_plane)
    overseer.allow_everywhere(on_taskruns("list"), {"nonResourceURLs": ["/metrics"], "verbs": ["get"]})
    allowed: list[tuple[Account, AnyPermission]] = [
        (user, Permission(verb="create", namespace=here)),
        (user, Permission(verb="use", resource="tasks", namespace=here, name=TASK)),
        (user, Permission(verb="use", resource="tasks", namespace=here, name="проект.задача")),
        (overseer, Permission(verb="list", namespace=here)),
        (overseer, Permission(verb="list", namespace="")),
        (overseer, PathPermission(verb="get", path="/metrics")),
    ]
    refused: list[tuple[Account, AnyPermission]] = [
        (user, Permission(verb="delete", namespace=here)),
        (user, Permission(verb="create", namespace=other)),
        (user, Permission(verb="list", namespace="")),
        (user, Permission(verb="use", resource="tasks", namespace=here, name="demo.fail")),
        (user, Permission(verb="use", resource="tasks", namespace=here, name="demo")),
        (user, Permission(verb="use", resource="tasks", namespace=here, name="*")),
        (user, Permission(verb="use", resource="tasks", namespace=other, name=TASK)),
        (user, PathPermission(verb="get", path="/metrics")),
        (overseer, Permission(verb="get", namespace=here)),
        (overseer, Permission(verb="use", resource="tasks", namespace=here, name=TASK)),
    ]
    headers = {account.user: f"Bearer {account.token('kelery')}" for account in (user, overseer)}

    async def ask(account: Account, permission: AnyPermission) -> Kind | None:
        async with gate_of(gateway) as gate:
            return await verdict(gate.require(await gate.identify(headers[account.user]), permission))

    async def work() -> None:
        for account, permission in allowed:
            await eventually(functools.partial(ask, account, permission), expect=None)
        for account, permission in refused:
            assert await ask(account, permission) is Kind.FORBIDDEN, permission

    play(work)


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_kubectl_auth_can_i_gives_the_same_verdict(
    gateway: Account, control_plane: ControlPlane, user: Account, verb: Literal["create", "delete"]
) -> None:
    permission = Permission(verb=verb, namespace=user.namespace)
    found = _settled_verdict(gateway, user, permission=permission)
    words = permission.question.split()
    assert words.pop(0) == "kubectl"
    answer = control_plane.kubectl(*words, "--token", user.token())
    assert (found, answer.stdout) == ((None, "yes\n") if verb == "create" else (Kind.FORBIDDEN, "no\n"))


def test_kubectl_auth_can_i_lists_the_allowed_tasks(
    gateway: Account, control_plane: ControlPlane, user: Account
) -> None:
    permission = Permission(verb="use", resource="tasks", namespace=user.namespace, name=TASK)
    assert _settled_verdict(gateway, user, permission=permission) is None
    listed = control_plane.kubectl(*permission.question.split()[1:], "--token", user.token()).stdout
    lines = [line.split() for line in listed.splitlines() if line.startswith("tasks.kelery.dev ")]
    expected = [["tasks.kelery.dev", "[]", f"[{task}]", "[use]"] for task in (TASK, "проект.задача")]
    assert sorted(lines) == expected


def _settled_verdict(gateway: Account, user: Account, *, permission: Permission) -> Kind | None:
    """The authorizer's verdict after RBAC has loaded the user's Role."""

    async def ask(wanted: Permission) -> Kind | None:
        async with gate_of(gateway) as gate:
            who = await gate.identify(f"Bearer {user.token('kelery')}")
            return await verdict(gate.require(who, wanted))

    async def work() -> Kind | None:
        create = Permission(verb="create", namespace=user.namespace)
        await eventually(functools.partial(ask, create), expect=None)
        return await ask(permission)

    return asyncio.run(work())


def test_a_gateway_without_permission_for_reviews_rejects_all_requests(
    control_plane: ControlPlane, user: Account, caplog: pytest.LogCaptureFixture
) -> None:
    powerless = new_account(control_plane)
    token = user.token("kelery")

    async def work() -> None:
        async with gate_of(powerless) as gate:
            kind = await verdict(gate.identify(f"Bearer {token}"))
            assert kind is Kind.ACCESS_CHECK_UNAVAILABLE

    with caplog.at_level(logging.DEBUG):
        play(work)
    assert "system:auth-delegator" in caplog.text
    assert token not in caplog.text


def test_a_gateway_reads_its_renewed_token_when_the_old_one_is_rejected(
    gateway: Account, user: Account
) -> None:
    now = int(time.time())
    good = gateway.credentials()
    expired = replace(good, token=gateway.signed_token(iat=now - 900, nbf=now - 900, exp=now - 300))
    loads = iter([expired, good])

    async def work() -> None:
        gate = KubernetesAuthorizer.connect(Login(lambda: next(loads)))
        try:
            assert (await gate.identify(f"Bearer {user.token('kelery')}")).name == user.user
        finally:
            await gate.close()

    play(work)


def test_a_hundred_concurrent_requests_are_two_reviews(gateway: Account, user: Account) -> None:
    header = f"Bearer {user.token('kelery')}"
    permission = Permission(verb="create", namespace=user.namespace)

    assert _settled_verdict(gateway, user, permission=permission) is None

    class Counted(ApiServerReviews):
        """Counts the requests to the API server."""

        asked = 0

        async def _status(self, path: str, *, body: object) -> Any:
            self.asked += 1
            return await super()._status(path, body=body)

    async def work() -> None:
        session = ClusterSession(gateway.login(), client_name="test")
        reviews = Counted(session)
        gate = KubernetesAuthorizer(reviews, session=session)

        async def one() -> Kind | None:
            return await verdict(gate.require(await gate.identify(header), permission))

        try:
            assert set(await asyncio.gather(*(one() for _ in range(100)))) == {None}
            assert reviews.asked == 2
        finally:
            await gate.close()

    play(work)


class Later:
    """The real clock, moved ahead by `seconds`."""

    seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.seconds


@pytest.mark.thorough
def test_requests_are_rejected_without_the_api_server_and_accepted_again_after(
    control_plane_binaries: Binaries, tmp_path: Path
) -> None:
    """The API server first hangs, then is gone, then is back."""
    start = functools.partial(ControlPlane.start, binaries=control_plane_binaries, state_dir=tmp_path)
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(start())

        async def come_back() -> None:
            again = await asyncio.to_thread(start)
            stack.enter_context(again)
            assert again.server == plane.server

        async def work() -> None:
            await _closes_and_opens_again(
                plane, server=plane.server, go=lambda: asyncio.to_thread(plane.stop), come_back=come_back
            )

        play(work)


def test_requests_are_rejected_without_a_connection_and_accepted_again_after(
    control_plane: ControlPlane,
) -> None:
    """The API server first hangs, then is unreachable, then is back."""

    async def work() -> None:
        async with TcpProxy(to=control_plane.settings.api_server.port) as proxy:

            async def go() -> None:
                proxy.close()

            server = f"https://127.0.0.1:{proxy.port}"
            await _closes_and_opens_again(control_plane, server=server, go=go, come_back=proxy.listen)

    play(work)


async def _closes_and_opens_again(
    plane: ControlPlane,
    *,
    server: str,
    go: Callable[[], Awaitable[None]],
    come_back: Callable[[], Awaitable[None]],
) -> None:
    """An authorizer whose API server at `server` hangs, then goes and comes back."""
    later = Later()
    gateway, user = new_gateway_account(plane), new_account(plane)
    user.allow(on_taskruns("list"))
    credentials, header = replace(gateway.credentials(), server=server), f"Bearer {user.token('kelery')}"
    permission = Permission(verb="list", namespace=user.namespace)
    session = ClusterSession(Login(lambda: credentials), client_name="test", request_seconds=2)
    gate = KubernetesAuthorizer(ApiServerReviews(session), session=session, clock=later)

    async def ask() -> Kind | None:
        async def both() -> None:
            await gate.require(await gate.identify(header), permission)

        return await verdict(both())

    try:
        await _until_let_in(ask, later=later)
        with frozen(_listening_on(plane.settings.api_server.port)):
            # Cached entries are still valid. After they expire, no request waits for long.
            assert await ask() is None
            later.seconds += 31
            begun = time.monotonic()
            answers = await asyncio.gather(*(ask() for _ in range(5)))
            assert set(answers) == {Kind.ACCESS_CHECK_UNAVAILABLE}
            # A request can take two seconds; in sequence, they would take ten.
            assert time.monotonic() - begun < 10
        await eventually(ask, expect=None)
        await go()
        assert await ask() is None
        later.seconds += 31
        assert await ask() is Kind.ACCESS_CHECK_UNAVAILABLE
        await come_back()
        await eventually(ask, expect=None)
    finally:
        await gate.close()


async def _until_let_in(ask: Callable[[], Awaitable[Kind | None]], *, later: Later) -> None:
    """A new Role needs a moment, and a denial is cached: let it expire each time."""
    until = time.monotonic() + 60
    while (kind := await ask()) is not None:
        assert time.monotonic() < until, kind
        later.seconds += 11
        await asyncio.sleep(0.1)


def _listening_on(port: int) -> int:
    """The process that listens on a port of this machine."""
    ours = psutil.Process().children(recursive=True)
    (found,) = [
        process.pid
        for process in ours
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    return found


def test_the_expiry_of_a_real_token_is_read(user: Account) -> None:
    """Otherwise the expiry of real tokens would not shorten the time in the cache."""
    expiry = expiry_of(user.token("kelery"))
    assert expiry is not None
    assert 0 < expiry - time.time() <= 601
