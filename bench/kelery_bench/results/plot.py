"""The ratios as a bar chart, as plain SVG that needs no library and is readable in a diff.

The scale is logarithmic, so twice as fast and twice as slow have the same distance from equal. The line at 1
is the reference, and each goal is a mark in its row.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from kelery_bench.results.results import Result, ratio_text

_LABEL_WIDTH = 270
_PLOT_WIDTH = 420
_TEXT_WIDTH = 170
_ROW = 26
_TOP = 34
_BOTTOM = 30
_TICKS = (0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 100.0, 1000.0)
_GOOD, _BAD, _PLAIN = "#2f7d4f", "#b3402e", "#5b7083"
_INK, _FAINT, _PAPER = "#1f2933", "#c9d1d9", "#ffffff"


def svg(results: Sequence[Result], *, caption: str) -> str:
    """One bar for each result, from 1 to the ratio; a thin line shows the spread."""
    scale = _Scale(results)
    height = _TOP + _ROW * len(results) + _BOTTOM
    width = _LABEL_WIDTH + _PLOT_WIDTH + _TEXT_WIDTH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{html.escape(caption)}</title>",
        f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>',
        _text(10, 18, caption, size=13),
    ]
    parts += _ticks(scale, bottom=height - _BOTTOM)
    for number, result in enumerate(results):
        parts += _row(result, scale, top=_TOP + _ROW * number)
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Maps a ratio to its place on the x axis."""

    def __init__(self, results: Sequence[Result]) -> None:
        values = [1.0]
        for result in results:
            values += result.comparison.ratios
            values += result.goal.values if result.goal else ()
        self.least = math.log(min(values) / 1.25)
        self.most = math.log(max(values) * 1.25)

    def x(self, ratio: float) -> float:
        share = (math.log(ratio) - self.least) / (self.most - self.least)
        return _LABEL_WIDTH + share * _PLOT_WIDTH

    def shows(self, ratio: float) -> bool:
        return self.least <= math.log(ratio) <= self.most


def _ticks(scale: _Scale, *, bottom: float) -> list[str]:
    parts = []
    for tick in filter(scale.shows, _TICKS):
        colour = _INK if tick == 1.0 else _FAINT
        parts.append(_line(scale.x(tick), _TOP - 6, scale.x(tick), bottom, colour=colour))
        parts.append(_text(scale.x(tick), bottom + 16, f"{tick:g}", anchor="middle"))
    return parts


def _row(result: Result, scale: _Scale, *, top: float) -> list[str]:
    found = result.comparison
    middle = top + _ROW / 2
    left, right = sorted((scale.x(1.0), scale.x(found.ratio)))
    colour = {True: _GOOD, False: _BAD, None: _PLAIN}[result.is_met]
    goal = f"  goal {result.goal}" if result.goal else ""
    parts = [
        _text(_LABEL_WIDTH - 10, middle + 4, f"{found.case} {found.figure}", anchor="end"),
        f'<rect x="{left:.1f}" y="{top + 6:.1f}" width="{max(right - left, 1):.1f}" height="{_ROW - 12}"'
        f' fill="{colour}"/>',
        _line(scale.x(min(found.ratios)), middle, scale.x(max(found.ratios)), middle, colour=_INK),
        _text(_LABEL_WIDTH + _PLOT_WIDTH + 10, middle + 4, f"{ratio_text(found.ratio)}{goal}"),
    ]
    for value in result.goal.values if result.goal else ():
        x = scale.x(value)
        parts.append(_line(x, top + 2, x, top + _ROW - 2, colour=_INK, width=2))
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, *, colour: str, width: int = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_INK}">'
        f"{html.escape(text)}</text>"
    )
