"""The authorization rule of a route, as a decorator of its endpoint: `@needs("create")`,
`@needs_path("get", "/metrics")` or `@public`.

The decorator marks the endpoint function. `guarded_route` reads the mark and creates no route without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kelery_api.access.permission import AnyPermission, PathPermission, Permission, Verb

_MARK = "__kelery_rule__"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`verb` None: public. `path` empty: the verb applies to TaskRuns, in one namespace or `everywhere`."""

    verb: Verb | None
    everywhere: bool = False
    path: str = ""

    def permission(self, namespace: str) -> AnyPermission | None:
        """The permission that a request for this namespace needs; None if it is public."""
        if self.verb is None:
            return None
        if self.path:
            return PathPermission(verb=self.verb, path=self.path)
        return Permission(verb=self.verb, namespace="" if self.everywhere else namespace)


def needs(verb: Verb, *, everywhere: bool = False) -> Callable[[Endpoint], Endpoint]:
    """The verb on TaskRuns, in the URL's namespace (default: the configured one), or in all namespaces."""
    return _marked(Rule(verb=verb, everywhere=everywhere))


def needs_path(verb: Verb, path: str) -> Callable[[Endpoint], Endpoint]:
    """The verb on a path, as in `nonResourceURLs`."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not a path: it must begin with /")
    return _marked(Rule(verb=verb, path=path))


def public(endpoint: Endpoint) -> Endpoint:
    """No authentication is needed."""
    return _marked(Rule(verb=None))(endpoint)


def rule_of(endpoint: Callable[..., Any]) -> Rule | None:
    """The rule of an endpoint; None if it has none."""
    rule = getattr(endpoint, _MARK, None)
    return rule if isinstance(rule, Rule) else None


def _marked(rule: Rule) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        if rule_of(endpoint) is not None:
            raise TypeError(f"{endpoint.__qualname__} already has a rule; remove one of the decorators")
        setattr(endpoint, _MARK, rule)
        return endpoint

    return mark
