"""Limits of ratios: an upper or a lower one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One of the two is set."""

    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a bound is either at_most or at_least")

    def holds(self, ratio: float) -> bool:
        """Whether the ratio keeps to it."""
        if self.at_most is not None:
            return ratio <= self.at_most
        return self.at_least is not None and ratio >= self.at_least

    @property
    def value(self) -> float:
        return self.at_most if self.at_most is not None else self.at_least or 0.0

    def __str__(self) -> str:
        return f"{'≤' if self.at_most is not None else '≥'} {self.value:.2f}"


def at_most(value: float) -> Bound:
    """Kelery needs no more than so many times what the reference needs."""
    return Bound(at_most=value)


def at_least(value: float) -> Bound:
    """Kelery does at least so many times what the reference does."""
    return Bound(at_least=value)
