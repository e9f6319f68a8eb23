"""Limits of ratios: an upper one, a lower one, or both."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """At least one of the two is set."""

    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.at_most is None and self.at_least is None:
            raise ValueError("a bound has at_most, at_least, or both")

    def holds(self, ratio: float) -> bool:
        """Whether the ratio is within the bound."""
        return not (
            (self.at_most is not None and ratio > self.at_most)
            or (self.at_least is not None and ratio < self.at_least)
        )

    @property
    def values(self) -> tuple[float, ...]:
        """The limits that are set."""
        return tuple(value for value in (self.at_least, self.at_most) if value is not None)

    def __str__(self) -> str:
        if self.at_most is None:
            return f"≥ {self.at_least:.2f}"
        if self.at_least is None:
            return f"≤ {self.at_most:.2f}"
        return f"{self.at_least:.2f} to {self.at_most:.2f}"


def at_most(value: float) -> Bound:
    """Kelery needs at most `value` times as much as the reference."""
    return Bound(at_most=value)


def at_least(value: float) -> Bound:
    """Kelery does at least `value` times as much as the reference."""
    return Bound(at_least=value)


def within(least: float, most: float) -> Bound:
    """The ratio is between the two values."""
    return Bound(at_least=least, at_most=most)
