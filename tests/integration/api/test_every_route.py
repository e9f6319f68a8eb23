"""Every route of the app × {no token, malformed, expired, wrong audience, other namespace, valid}.

The routes are read from the app, so a new route without an example here fails.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.routing import iter_route_contexts

from kelery.ledger import commands, sync_client
from kelery.settings import LedgerSettings
from kelery_api.app import create_app
from kelery_api.settings import ApiSettings
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.stack.valkey import ValkeyServer
from tests.integration.api.live_app import LiveApp, Reply, live_app
from tests.support.accounts import Account, Rule, new_account, new_gateway_account, on_taskruns, use_of

PREFIX = "every-route"
TASK = "demo.add"
VERBS = ("create", "get", "list", "watch", "patch", "delete")
RUNS = "/v1/namespaces/{namespace}/taskruns"
ONE = RUNS + "/{id}"
KEYS = "/v1/namespaces/{namespace}/keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A valid request, the permission that it needs, and its response."""

    #: The verb on TaskRuns; "" if the route is public.
    verb: str
    status: int = 200
    #: Appended to the route's path, whose parameters are filled in.
    query: str = ""
    body: object = None
    #: Whether the permission is needed in all namespaces.
    everywhere: bool = False
    #: The permission is on a path instead.
    path: bool = False


EXAMPLES = {
    "GET /start": Example(verb="create", query=f"?task={TASK}&args=[1,2]&key=get"),
    "POST /start": Example(verb="create", query="?key=post", body={"task": TASK, "args": [1, 2]}),
    "GET /status": Example(verb="get", query="?task_id={id}"),
    "GET /cancel": Example(verb="patch", query="?task_id={id}"),
    "POST /cancel": Example(verb="patch", query="?task_id={id}"),
    f"POST {RUNS}": Example(verb="create", status=202, body={"spec": {"task": TASK, "args": [1, 2]}}),
    f"GET {RUNS}": Example(verb="list"),
    f"GET {ONE}": Example(verb="get"),
    # The run waits for a worker; there is none.
    f"GET {ONE}/result": Example(verb="get", status=409),
    f"GET {ONE}/events": Example(verb="watch"),
    f"POST {ONE}:cancel": Example(verb="patch", body={}),
    f"DELETE {ONE}": Example(verb="delete", status=204),
    f"GET {KEYS}": Example(verb="list"),
    f"GET {KEYS}/{{key}}": Example(verb="list"),
    "GET /v1/queues": Example(verb="list", everywhere=True),
    "GET /v1/workers": Example(verb="list", everywhere=True),
    "GET /metrics": Example(verb="get", path=True),
    "GET /livez": Example(verb=""),
    "GET /readyz": Example(verb=""),
    "GET /openapi.json": Example(verb=""),
    "GET /docs": Example(verb=""),
}

_ANY_LEDGER = LedgerSettings(redis_url="redis://127.0.0.1:1")


def routes_of(settings: ApiSettings) -> list[str]:
    """Each route with each of its methods, such as `GET /path/{parameter}`."""
    found = []
    for context in iter_route_contexts(create_app(settings, login=None).routes):
        for method in context.methods or {"ANY"}:
            # Starlette adds HEAD to every GET.
            if method != "HEAD":
                found.append(f"{method} {context.path_format}".replace(":path}", "}"))
    return sorted(found)


ROUTES = routes_of(ApiSettings(ledger=_ANY_LEDGER))
GUARDED = [route for route in ROUTES if route not in EXAMPLES or EXAMPLES[route].verb]
PUBLIC = [route for route in ROUTES if route not in GUARDED]
ABOUT_ONE_RUN = [route for route in GUARDED if route in EXAMPLES and "{id}" in route + EXAMPLES[route].query]


class Walk:
    """A gateway, a namespace, and the accounts of callers."""

    def __init__(
        self, live: LiveApp, *, plane: ControlPlane, ledger: sync_client.Ledger, owner: Account
    ) -> None:
        self.live = live
        self.ledger = ledger
        #: Has all permissions in its namespace.
        self.owner = owner
        self.namespace = owner.namespace
        self.owner_token = owner.token("kelery")
        #: Has all permissions in another namespace.
        self.outsider = everything(new_account(plane))
        self._plane = plane
        self._numbers = itertools.count(1)

    def account(self, *rules: Rule) -> Account:
        """A new account with these permissions in the namespace."""
        account = new_account(self._plane, namespace=self.namespace, name=f"user-{next(self._numbers)}")
        account.allow(*rules)
        return account

    def entitled(self, example: Example) -> Account:
        """A new account that can send the example, and nothing else."""
        if example.path:
            account = self.account()
            account.allow_everywhere({"nonResourceURLs": ["/metrics"], "verbs": [example.verb]})
            account.wait_until_allowed_path("/metrics", verb=example.verb)
        elif example.everywhere:
            account = self.account()
            account.allow_everywhere(on_taskruns(example.verb))
            account.wait_until_allowed(verb=example.verb)
        else:
            uses = [use_of(TASK)] if example.verb == "create" else []
            account = self.account(on_taskruns(example.verb), *uses)
            account.wait_until_allowed(verb=example.verb, namespace=self.namespace)
        return account

    def lacking(self, verb: str) -> Account:
        """A new account with all permissions in the namespace except this one."""
        others = [other for other in VERBS if other != verb]
        account = self.account(on_taskruns(*others), use_of(TASK))
        account.wait_until_allowed(verb=others[0], namespace=self.namespace)
        return account

    def new_run(self, account: Account) -> str:
        """A run in the account's namespace, which holds the key of its own name."""
        spec = {"task": TASK, "args": [1, 2], "concurrency": {"key": f"key/{next(self._numbers)}"}}
        reply = self.live.ask(
            "POST",
            RUNS.replace("{namespace}", account.namespace),
            token=account.token("kelery"),
            body={"spec": spec},
        )
        assert reply.status == 202, reply.text
        return str(reply.body["metadata"]["uid"])

    def send(
        self, route: str, example: Example, *, run: str, token: str | None, namespace: str = ""
    ) -> Reply:
        """Send the example with this token."""
        method, _, path = route.partition(" ")
        filled = (path + example.query).replace("{namespace}", namespace or self.namespace)
        filled = filled.replace("{id}", run).replace("{key}", "key/1")
        return self.live.ask(method, filled, token=token, body=example.body)

    def state(self) -> dict[str, str]:
        """The namespace's runs and their phases."""
        path = RUNS.replace("{namespace}", self.namespace)
        listed = self.live.ask("GET", f"{path}?limit=500", token=self.owner_token)
        assert listed.status == 200, listed.text
        return {item["metadata"]["uid"]: item["status"]["phase"] for item in listed.body["items"]}


def everything(account: Account) -> Account:
    """Grant all permissions on TaskRuns, and `use` of the task, in the account's own namespace."""
    account.allow(on_taskruns(*VERBS), use_of(TASK))
    account.wait_until_allowed(verb="create", namespace=account.namespace)
    return account


@pytest.fixture(scope="module")
def walk(control_plane: ControlPlane, valkey_server: ValkeyServer) -> Iterator[Walk]:
    """One gateway for all routes, whose own account can only create reviews."""
    owner = everything(new_account(control_plane, name="owner"))
    settings = ApiSettings(
        ledger=LedgerSettings(redis_url=valkey_server.url, prefix=PREFIX), namespace=owner.namespace
    )
    gateway = new_gateway_account(control_plane)
    client = sync_client.connect(valkey_server.url, timeout_seconds=5, client_name="test")
    with live_app(create_app(settings, login=gateway.login())) as live:
        ledger = sync_client.Ledger(client, prefix=PREFIX)
        yield Walk(live, plane=control_plane, ledger=ledger, owner=owner)
    client.close()


def test_every_route_has_an_example_and_every_example_a_route() -> None:
    assert sorted(EXAMPLES) == ROUTES


@pytest.mark.parametrize("route", GUARDED)
def test_a_route_is_open_only_with_its_permission(walk: Walk, route: str) -> None:
    assert route in EXAMPLES, "add an example with the permission that it needs"
    example = EXAMPLES[route]
    run = walk.new_run(walk.owner)
    right = walk.entitled(example)
    now = int(time.time())
    strangers = {
        "no token": None,
        "junk": "junk",
        "expired": right.signed_token(iat=now - 900, nbf=now - 900, exp=now - 300),
        "wrong audience": right.token("another"),
        "the API server's audience": right.token(),
    }
    before = walk.state()
    for name, token in strangers.items():
        reply = walk.send(route, example, run=run, token=token)
        assert (name, reply.status, kind_of(reply)) == (name, 401, "unauthenticated")
        assert reply.headers["www-authenticate"].startswith("Bearer")
        assert token is None or token not in reply.text
    without = {"other namespace": walk.outsider, f"all but {example.verb}": walk.lacking(example.verb)}
    if example.everywhere or example.path:
        without["one namespace"] = walk.owner
    for name, account in without.items():
        reply = walk.send(route, example, run=run, token=account.token("kelery"))
        assert (name, reply.status, kind_of(reply)) == (name, 403, "forbidden")
        assert "kubectl auth can-i" in reply.body["detail"]
    assert walk.state() == before
    reply = walk.send(route, example, run=run, token=right.token("kelery"))
    assert reply.status == example.status, reply.text


def kind_of(reply: Reply) -> str:
    """The problem's kind; "" if it is not a problem."""
    if not reply.headers.get("content-type", "").startswith("application/problem+json"):
        return ""
    return str(reply.body["type"]).rpartition("/")[2]


@pytest.mark.parametrize("route", PUBLIC)
@pytest.mark.parametrize("token", [None, "junk"])
def test_a_public_route_is_open(walk: Walk, route: str, token: str | None) -> None:
    assert walk.send(route, EXAMPLES[route], run="", token=token).status == 200


@pytest.mark.parametrize("route", [f"POST {RUNS}", "GET /start", "POST /start"])
def test_creating_a_run_needs_the_permission_to_use_its_task(walk: Walk, route: str) -> None:
    account = walk.account(on_taskruns("create"), use_of("demo.another"))
    account.wait_until_allowed(verb="create", namespace=walk.namespace)
    before = walk.state()
    reply = walk.send(route, EXAMPLES[route], run="", token=account.token("kelery"))
    assert (reply.status, kind_of(reply)) == (403, "forbidden"), reply.text
    assert f"cannot use tasks.kelery.dev/{TASK} in the namespace {walk.namespace}" in reply.body["detail"]
    assert walk.state() == before


@pytest.mark.parametrize("route", ABOUT_ONE_RUN)
def test_a_run_of_another_namespace_is_not_found_through_the_callers_namespace(
    walk: Walk, route: str
) -> None:
    """Even with all permissions in the namespace of the URL."""
    foreign = walk.new_run(walk.outsider)
    reply = walk.send(route, EXAMPLES[route], run=foreign, token=walk.owner_token)
    assert (reply.status, kind_of(reply)) == (404, "not-found"), reply.text
    (record,) = walk.ledger.run(commands.view([foreign], inline_bytes=0))
    assert record is not None
    assert (record.phase.value, record.cancel, record.is_deleted) == ("Admitted", "", False)


def test_the_requester_of_a_run_is_stored_with_it(walk: Walk) -> None:
    (record,) = walk.ledger.run(commands.view([walk.new_run(walk.owner)], inline_bytes=0))
    assert record is not None
    assert record.requester == walk.owner.user
