"""Payments over time as an SVG drawing: for each state how many had ended by when. Pure.

Colours come from the page's style sheet, by class; lines differ by their dashes too, for those who do not see
colours as most do, and for paper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from bursar.payouts.results import LineResult, State

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 56
_RIGHT: Final = 150  # room for the names at the lines' ends
_TOP: Final = 12
_BOTTOM: Final = 30
_ROW: Final = 16


@dataclass(frozen=True, slots=True)
class Curve:
    """How many payments of a state had ended by when: seconds from the first of all, and the count since."""

    state: State
    points: tuple[tuple[float, int], ...]


def curves_of(results: Iterable[LineResult]) -> tuple[Curve, ...]:
    """Return a curve for each state that has results with a time, those with most results first."""
    times = [(each.ended, each.state) for each in results if each.ended is not None]
    if not times:
        return ()
    first = min(at for at, _ in times)
    ended: dict[State, list[float]] = {}
    for at, state in times:
        ended.setdefault(state, []).append((at - first).total_seconds())
    curves = [
        Curve(state, tuple((at, count) for count, at in enumerate(sorted(found), 1)))
        for state, found in ended.items()
    ]
    return tuple(sorted(curves, key=lambda curve: -len(curve.points)))


def chart(results: Iterable[LineResult]) -> str:
    """Return the drawing as one `svg` element; empty where no two moments are known."""
    found = tuple(results)
    curves = curves_of(found)
    span = max((curve.points[-1][0] for curve in curves), default=0.0)
    if not span:
        return ""
    begin = min(each.ended for each in found if each.ended is not None)
    end = max(each.ended for each in found if each.ended is not None)
    most = max(len(curve.points) for curve in curves)
    told = "; ".join(f"{len(curve.points)} {curve.state.words}" for curve in curves)
    parts = [
        '<title id="chart-title">Payments over time</title>',
        f'<desc id="chart-desc">{told}, from {_clock(begin)} to {_clock(end)} UTC</desc>',
        *_axes(most, begin, end),
        *(_line(curve, span, most) for curve in curves),
        *_names(curves, most),
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="chart-title chart-desc">'
        f"{''.join(parts)}</svg>"
    )


def _axes(most: int, begin: datetime, end: datetime) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    marks = sorted({0, most // 2, most})
    rows = [
        f'<path class="grid" d="M{_LEFT} {_y(mark, most)}H{right}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(mark, most) + 4}" text-anchor="end">{mark:,}</text>'
        for mark in marks
    ]
    return [
        *rows,
        f'<text x="{_LEFT}" y="{bottom + 18}">{_clock(begin)}</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{_clock(end)} UTC</text>',
    ]


def _line(curve: Curve, span: float, most: int) -> str:
    """Return a curve as steps, with one for each column of the drawing at most."""
    width = _WIDTH - _LEFT - _RIGHT
    columns: dict[int, int] = {}
    for at, count in curve.points:
        columns[_LEFT + round(at / span * width)] = count
    steps = "".join(f"H{x}V{_y(count, most)}" for x, count in columns.items())
    name = curve.state.value
    return f'<path class="curve {name}" d="M{_LEFT} {_y(0, most)}{steps}H{_LEFT + width}"/>'


def _names(curves: Iterable[Curve], most: int) -> list[str]:
    """Return the curves' names at their ends, moved apart where they would touch."""
    found, free = [], float(_HEIGHT)
    for curve in sorted(curves, key=lambda each: len(each.points)):
        free = min(_y(len(curve.points), most) + 4, free - _ROW)
        label = escape(f"{len(curve.points):,} {curve.state.words}")
        found.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{free:g}" class="{curve.state.value}">{label}</text>'
        )
    return found


def _y(count: int, most: int) -> int:
    return _HEIGHT - _BOTTOM - round(count / most * (_HEIGHT - _BOTTOM - _TOP))


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
