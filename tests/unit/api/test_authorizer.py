"""The authorizer with a double of the API server. The integration tests use a real one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from kelery.kube.answer import KubeError
from kelery_api.access.authorizer import KubernetesAuthorizer, OpenAuthorizer
from kelery_api.access.permission import AnyPermission, PathPermission, Permission
from kelery_api.access.requester import NOBODY, Requester
from kelery_api.access.reviews import requester_from
from kelery_api.http.problems import Kind, Problem
from tests.unit.api.test_bearer import token_with

ALICE = Requester(name="alice", uid="1", groups=("dev",), extra=MappingProxyType({"credential": ("JTI=1",)}))
LIST = Permission(verb="list", namespace="shop")
EPOCH = 1_700_000_000.0


class Cluster:
    """A double that knows one token and one permission. It raises `error` if that is set."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.error: KubeError | None = None
        self.token = "good"
        self.allowed: AnyPermission = LIST
        self.now = 0.0
        self.epoch = EPOCH
        self.authorizer = KubernetesAuthorizer(self, clock=lambda: self.now, wall_clock=lambda: self.epoch)

    async def who(self, token: str) -> Requester | None:
        self._asked("who")
        return ALICE if token == self.token else None

    async def may(self, requester: Requester, permission: AnyPermission) -> bool:
        self._asked("may")
        return permission == self.allowed

    def _asked(self, question: str) -> None:
        self.questions.append(question)
        if self.error:
            raise self.error


def problem_of(work: Coroutine[Any, Any, object]) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(work)
    return caught.value


def test_a_valid_token_gives_its_user_with_one_review() -> None:
    async def play() -> None:
        cluster = Cluster()
        for _ in range(3):
            who = await cluster.authorizer.identify("Bearer good")
            assert who is ALICE
            await cluster.authorizer.require(who, LIST)
        assert cluster.questions == ["who", "may"]

    asyncio.run(play())


def test_a_request_without_a_token_learns_how_to_create_one() -> None:
    cluster = Cluster()
    problem = problem_of(cluster.authorizer.identify(None))
    assert problem.kind is Kind.UNAUTHENTICATED
    assert problem.headers["WWW-Authenticate"] == "Bearer"
    assert "kubectl create token" in problem.detail
    assert "--audience=kelery" in problem.detail
    assert cluster.questions == []


@pytest.mark.parametrize("header", ["Bearer", "Basic Z29vZDpnb29k", "Bearer good good", "good", ""])
def test_a_malformed_bearer_token_is_rejected_without_a_review(header: str) -> None:
    cluster = Cluster()
    assert problem_of(cluster.authorizer.identify(header)).kind is Kind.UNAUTHENTICATED
    assert cluster.questions == []


def test_an_invalid_token_is_rejected_and_not_shown() -> None:
    problem = problem_of(Cluster().authorizer.identify("Bearer s3cret"))
    assert problem.kind is Kind.UNAUTHENTICATED
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")
    assert "s3cret" not in f"{problem!r} {problem.detail} {problem.headers}"


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        (
            Permission(verb="patch", namespace="shop"),
            "alice cannot patch taskruns.kelery.dev in the namespace shop; grant the permission with RBAC, "
            "and check it with: kubectl auth can-i patch taskruns.kelery.dev -n shop --as=alice",
        ),
        (
            Permission(verb="list", namespace=""),
            "alice cannot list taskruns.kelery.dev in all namespaces; grant the permission with RBAC, "
            "and check it with: kubectl auth can-i list taskruns.kelery.dev --all-namespaces --as=alice",
        ),
        (
            Permission(verb="use", resource="tasks", namespace="shop", name="demo.add"),
            "alice cannot use tasks.kelery.dev/demo.add in the namespace shop; "
            "grant the permission with RBAC, and check it with: kubectl auth can-i --list -n shop --as=alice",
        ),
        (
            PathPermission(verb="get", path="/metrics"),
            "alice cannot get /metrics; grant the permission with RBAC, "
            "and check it with: kubectl auth can-i get /metrics --as=alice",
        ),
    ],
)
def test_a_denial_names_the_missing_permission_and_how_to_check_it(
    permission: AnyPermission, words: str
) -> None:
    problem = problem_of(Cluster().authorizer.require(ALICE, permission))
    assert problem.kind is Kind.FORBIDDEN
    assert problem.detail == words


def test_a_user_without_a_name_has_no_permission() -> None:
    cluster = Cluster()
    assert problem_of(cluster.authorizer.require(NOBODY, LIST)).kind is Kind.UNAUTHENTICATED
    assert cluster.questions == []


def test_requesters_that_differ_in_any_attribute_are_reviewed_separately() -> None:
    async def play() -> None:
        cluster = Cluster()
        others = (
            replace(ALICE, groups=()),
            replace(ALICE, uid="2"),
            replace(ALICE, extra=MappingProxyType({"credential": ("JTI=2",)})),
        )
        for who in (ALICE, *others):
            await cluster.authorizer.require(who, LIST)
        assert len(cluster.questions) == 4

    asyncio.run(play())


def test_a_revoked_permission_ends_within_thirty_seconds() -> None:
    async def play() -> None:
        cluster = Cluster()
        await cluster.authorizer.require(ALICE, LIST)
        cluster.allowed = PathPermission(verb="get", path="/metrics")
        cluster.now = 29.9
        await cluster.authorizer.require(ALICE, LIST)
        cluster.now = 30
        with pytest.raises(Problem):
            await cluster.authorizer.require(ALICE, LIST)

    asyncio.run(play())


def test_a_granted_permission_works_within_ten_seconds() -> None:
    async def play() -> None:
        cluster = Cluster()
        create = Permission(verb="create", namespace="shop")
        with pytest.raises(Problem):
            await cluster.authorizer.require(ALICE, create)
        cluster.allowed, cluster.now = create, 10
        await cluster.authorizer.require(ALICE, create)

    asyncio.run(play())


@pytest.mark.parametrize(("left", "asked_at"), [(5, 5), (3600, 30), (-100, 0)])
def test_a_token_is_not_cached_beyond_its_expiry(left: int, asked_at: float) -> None:
    async def play() -> None:
        cluster = Cluster()
        cluster.token = token_with({"exp": EPOCH + left})
        header = f"Bearer {cluster.token}"
        await cluster.authorizer.identify(header)
        if asked_at:
            cluster.now = asked_at - 0.01
            await cluster.authorizer.identify(header)
            assert len(cluster.questions) == 1
        cluster.now = asked_at
        await cluster.authorizer.identify(header)
        assert len(cluster.questions) == 2

    asyncio.run(play())


def test_without_the_api_server_requests_are_rejected_once_the_cache_expires(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> None:
        cluster = Cluster()
        who = await cluster.authorizer.identify("Bearer good")
        await cluster.authorizer.require(who, LIST)
        cluster.error = KubeError("the API server does not answer: TimeoutError", status=0)
        cluster.now = 29
        await cluster.authorizer.require(await cluster.authorizer.identify("Bearer good"), LIST)
        cluster.now = 30
        for work in (cluster.authorizer.identify("Bearer good"), cluster.authorizer.require(who, LIST)):
            with pytest.raises(Problem) as caught:
                await work
            assert caught.value.kind is Kind.ACCESS_CHECK_UNAVAILABLE
            assert int(caught.value.headers["Retry-After"]) >= 1
            assert "TimeoutError" not in caught.value.detail
        cluster.error = None
        await cluster.authorizer.require(await cluster.authorizer.identify("Bearer good"), LIST)

    with caplog.at_level(logging.INFO):
        asyncio.run(play())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "good" not in caplog.text


def test_the_log_names_the_permission_that_the_gateway_lacks(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.error = KubeError("the API server answered 403: forbidden", status=403)
    assert problem_of(cluster.authorizer.identify("Bearer good")).kind is Kind.ACCESS_CHECK_UNAVAILABLE
    assert "system:auth-delegator" in caplog.text


def test_without_authentication_every_request_is_allowed_without_a_user() -> None:
    async def play() -> None:
        gate = OpenAuthorizer()
        who = await gate.identify("Bearer nothing")
        assert who.name == ""
        await gate.require(who, Permission(verb="delete", namespace="shop"))
        await gate.close()

    asyncio.run(play())


def test_a_permission_on_tasks_needs_a_name() -> None:
    with pytest.raises(ValueError, match="names one task"):
        Permission(verb="use", resource="tasks", namespace="shop")


VOUCHED = {
    "authenticated": True,
    "audiences": ["kelery"],
    "user": {"username": "alice", "uid": "1", "groups": ["dev"], "extra": {"credential": ["JTI=1"]}},
}


def test_an_authenticated_token_review_gives_the_user() -> None:
    assert requester_from(VOUCHED) == ALICE


@pytest.mark.parametrize(
    "other",
    [
        {"authenticated": False},
        {"authenticated": "true"},
        {"authenticated": None},
        {"audiences": ["https://kubernetes.default.svc"]},
        {"audiences": []},
        {"audiences": None},
        {"audiences": 7},
        {"user": None},
        {"user": {}},
        {"user": {"username": ""}},
        {"user": {"username": 7}},
    ],
)
def test_any_other_token_review_gives_no_user(other: dict[str, object]) -> None:
    assert requester_from({**VOUCHED, **other}) is None
