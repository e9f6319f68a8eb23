"""What a route demands, said at its endpoint: `@needs("create")`, `@needs_path("get", "/metrics")`,
`@public`.

The rule is a mark on the endpoint function; `guarded_route` reads it and makes no route without one.
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
    """`verb` None: for everybody. `path` empty: the verb is on TaskRuns, of one namespace or `everywhere`."""

    verb: Verb | None
    everywhere: bool = False
    path: str = ""

    def permission(self, namespace: str) -> AnyPermission | None:
        """What is to be asked for a request that is about this namespace; None: nothing."""
        if self.verb is None:
            return None
        if self.path:
            return PathPermission(verb=self.verb, path=self.path)
        return Permission(verb=self.verb, namespace="" if self.everywhere else namespace)


def needs(verb: Verb, *, everywhere: bool = False) -> Callable[[Endpoint], Endpoint]:
    """The verb on TaskRuns: in the namespace of the URL (else in the settings' one), or in all."""
    return _marked(Rule(verb=verb, everywhere=everywhere))


def needs_path(verb: Verb, path: str) -> Callable[[Endpoint], Endpoint]:
    """The verb on a path, as `nonResourceURLs` have it."""
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is no path: it must begin with /")
    return _marked(Rule(verb=verb, path=path))


def public(endpoint: Endpoint) -> Endpoint:
    """For everybody, known or not."""
    return _marked(Rule(verb=None))(endpoint)


def rule_of(endpoint: Callable[..., Any]) -> Rule | None:
    """The rule of an endpoint, if it has one."""
    rule = getattr(endpoint, _MARK, None)
    return rule if isinstance(rule, Rule) else None


def _marked(rule: Rule) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        if rule_of(endpoint) is not None:
            raise TypeError(f"{endpoint.__qualname__} has a rule already; one must do")
        setattr(endpoint, _MARK, rule)
        return endpoint

    return mark
