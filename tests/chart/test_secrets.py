"""Passwords are in Secrets only."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from tests.chart.cases import CANARY, CASES
from tests.chart.rendered import components, name_of, of_kind, texts
from tests.support.helm import Helm, Manifest


def test_no_other_object_has_the_content_of_a_secret(rendered: list[Manifest]) -> None:
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


def test_the_password_of_a_given_url_is_in_one_secret(helm: Helm) -> None:
    rendered = helm.template(CASES["broker-url"])
    [secret] = of_kind(rendered, "Secret")
    assert CANARY in "".join(_plain_values(secret))


def test_every_component_reads_the_brokers_url_from_a_secret(rendered: list[Manifest]) -> None:
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


def test_the_users_own_secret_is_read_at_the_given_key(helm: Helm) -> None:
    rendered = helm.template(CASES["broker-tls"])
    assert of_kind(rendered, "Secret") == []
    assert of_kind(rendered, "StatefulSet") == []
    [operator] = components(rendered, "operator")
    assert operator.variables()["KELERY_REDIS_URL"] == {"secretKeyRef": {"name": "my-redis", "key": "dsn"}}


def _plain_values(secret: Manifest) -> list[str]:
    encoded = [base64.b64decode(value).decode() for value in (secret.get("data") or {}).values()]
    return [*encoded, *(secret.get("stringData") or {}).values()]


def _secrets_in(secret: Manifest) -> list[str]:
    """Values that are not URLs, and the passwords in URLs."""
    plain = _plain_values(secret)
    urls = [urlsplit(value) for value in plain if "://" in value]
    return [value for value in plain if "://" not in value] + [url.password for url in urls if url.password]
