"""The Authorization header, and the expiry in a token."""

from __future__ import annotations

import base64
import json

import pytest

from kelery_api.access.bearer import expiry_of, fingerprint, token_of


def token_with(claims: object) -> str:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.c2ln"


@pytest.mark.parametrize("header", ["Bearer a.b-c_d", "bearer a.b-c_d", "BEARER   a.b-c_d"])
def test_a_bearer_token_is_parsed(header: str) -> None:
    assert token_of(header) == "a.b-c_d"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer nothing at all",
        "Bearer a, Bearer b",
        "Bearer a\n",
        "Bearer tök",
        "Basic dXNlcjpwYXNz",
        "a.b.c",
        "Bearer " + "a" * 20_000,
    ],
)
def test_any_other_header_has_no_token(header: str) -> None:
    assert token_of(header) is None


def test_a_fingerprint_does_not_show_the_token() -> None:
    assert b"secret" not in fingerprint("secret")
    assert fingerprint("secret") == fingerprint("secret") != fingerprint("Secret")


@pytest.mark.parametrize(
    ("claims", "expiry"),
    [({"exp": 1700000000}, 1700000000.0), ({"exp": 1.5}, 1.5), ({"exp": -1}, -1.0)],
)
def test_the_expiry_is_read_from_the_token(claims: object, expiry: float) -> None:
    assert expiry_of(token_with(claims)) == expiry


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b",
        "a.%%%.c",
        "a.YQ.c",
        token_with([1]),
        token_with({}),
        token_with({"exp": "tomorrow"}),
        token_with({"exp": True}),
        token_with({"exp": None}),
        token_with({"exp": 10**400}),
        "e30." + base64.urlsafe_b64encode(b'{"exp":' + b"[" * 9000).decode().rstrip("=") + ".c2ln",
    ],
)
def test_a_token_without_expiry_is_not_an_error(token: str) -> None:
    assert expiry_of(token) is None
