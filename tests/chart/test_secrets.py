"""Passwords are in Secrets, and nowhere else."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from tests.chart.cases import CANARY, CASES
from tests.chart.rendered import components, name_of, of_kind, texts
from tests.support.helm import Helm, Manifest


def test_what_is_in_a_secret_is_in_nothing_else(rendered: list[Manifest]) -> None:
    secrets = {secret for manifest in of_kind(rendered, "Secret") for secret in _secrets_in(manifest)}
    others = [manifest for manifest in rendered if manifest["kind"] != "Secret"]
    leaks = {
        name_of(manifest)
        for manifest in others
        for text in texts(manifest)
        if any(s in text for s in secrets)
    }
    assert leaks == set()


def test_a_password_is_long_and_random(helm: Helm) -> None:
    first = helm.template()
    again = helm.template({"commonAnnotations": {"example.com/a": "b"}})
    passwords = [
        {s for m in of_kind(objects, "Secret") for s in _secrets_in(m)} for objects in (first, again)
    ]
    assert passwords[0]
    assert not passwords[0] & passwords[1]
    assert all(len(password) >= 24 for password in passwords[0])


def test_the_canary_of_a_given_url_is_in_one_secret(helm: Helm) -> None:
    rendered = helm.template(CASES["broker-url"])
    [secret] = of_kind(rendered, "Secret")
    assert CANARY in "".join(_plain_values(secret))


def test_every_component_has_its_broker_from_a_secret(rendered: list[Manifest]) -> None:
    for component, names in {
        "operator": ["KELERY_REDIS_URL"],
        "api": ["KELERY_REDIS_URL"],
        "worker": ["CELERY_BROKER_URL", "KELERY_REDIS_URL"],
    }.items():
        for pod in components(rendered, component):
            variables = pod.variables()
            for name in names:
                source = variables[name]
                assert "secretKeyRef" in source or re.search(r"\$\([A-Z_]+\)", str(source)), (pod.name, name)


def test_a_url_of_ones_own_is_read_under_the_key_that_was_named(helm: Helm) -> None:
    rendered = helm.template(CASES["broker-tls"])
    assert of_kind(rendered, "Secret") == []
    assert of_kind(rendered, "StatefulSet") == []
    [operator] = components(rendered, "operator")
    assert operator.variables()["KELERY_REDIS_URL"] == {"secretKeyRef": {"name": "my-redis", "key": "dsn"}}


def _plain_values(secret: Manifest) -> list[str]:
    encoded = [base64.b64decode(value).decode() for value in (secret.get("data") or {}).values()]
    return [*encoded, *(secret.get("stringData") or {}).values()]


def _secrets_in(secret: Manifest) -> list[str]:
    """Values without a host, and the passwords in URLs."""
    plain = _plain_values(secret)
    urls = [urlsplit(value) for value in plain if "://" in value]
    return [value for value in plain if "://" not in value] + [url.password for url in urls if url.password]
