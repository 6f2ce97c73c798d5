"""Draws the curves of docs/benchmarks.md from what was measured: an SVG beside each JSON file of docs/benchmarks.

python -m tests.bench.beside.plots
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tests.bench.beside.results import RESULTS, kept
from tests.bench.beside.subjects import ORIGINAL

Curve = list[tuple[float, float]]
WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 196, 40, 48
_COLOURS = ("#1f6fb4", "#2a9d58", "#c77700", "#8250a8", "#b3261e", "#555555")
_FONT = 'font-family="sans-serif" font-size="12"'
# What is seen on a dark page, too.
_INK, _GRID = "#888888", "#88888855"


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over an x that is logarithmic; y is, too, where it is said."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Curve]
    has_log_y: bool = False


def svg(plot: Plot) -> str:
    """Return the plot as a picture."""
    points = [point for curve in plot.curves.values() for point in curve]
    across = _Axis([x for x, _ in points], _LEFT, WIDTH - _RIGHT, is_log=True)
    ys = [y for _, y in points] + ([] if plot.has_log_y else [0.0])
    up = _Axis(ys, HEIGHT - _BOTTOM, _TOP, is_log=plot.has_log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        _text(_LEFT, 20, plot.title, 'font-weight="bold"'),
        _text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 10, plot.x, 'text-anchor="middle"'),
        _text(
            16,
            (HEIGHT - _BOTTOM + _TOP) / 2,
            plot.y,
            f'text-anchor="middle" transform="rotate(-90 16 {(HEIGHT - _BOTTOM + _TOP) / 2:g})"',
        ),
    ]
    for value in across.ticks():
        at = across.place(value)
        parts.append(_line([(at, _TOP), (at, HEIGHT - _BOTTOM)], _GRID, 1))
        parts.append(_text(at, HEIGHT - _BOTTOM + 16, _short(value), 'text-anchor="middle"'))
    for value in up.ticks():
        at = up.place(value)
        parts.append(_line([(_LEFT, at), (WIDTH - _RIGHT, at)], _GRID, 1))
        parts.append(_text(_LEFT - 6, at + 4, _short(value), 'text-anchor="end"'))
    for number, (name, curve) in enumerate(plot.curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(across.place(x), up.place(y)) for x, y in sorted(curve)]
        parts.append(_line(places, colour, 2))
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        beside = _TOP + 14 + 20 * number
        parts.append(
            _line([(WIDTH - _RIGHT + 12, beside - 4), (WIDTH - _RIGHT + 32, beside - 4)], colour, 2)
        )
        parts.append(_text(WIDTH - _RIGHT + 38, beside, name))
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Where values are between two places of the picture."""

    def __init__(self, values: Sequence[float], first: float, last: float, *, is_log: bool) -> None:
        self._is_log = is_log
        self._first, self._last = first, last
        low, high = min(values), max(values)
        if is_log:
            self._low, self._high = math.floor(math.log10(low)), math.ceil(math.log10(high))
            self._step = 1.0
        else:
            size = 10 ** math.floor(math.log10(high or 1))
            self._step = next(size * part for part in (0.2, 0.5, 1, 2) if high / size / part <= 6)
            self._low, self._high = 0, math.ceil(high / self._step) * self._step
        self._high = max(self._high, self._low + self._step)

    def place(self, value: float) -> float:
        at = math.log10(value) if self._is_log else value
        share = (at - self._low) / (self._high - self._low)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> Iterator[float]:
        for number in range(round((self._high - self._low) / self._step) + 1):
            at = self._low + number * self._step
            yield 10.0**at if self._is_log else at


def _line(places: Iterable[tuple[float, float]], colour: str, width: int) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}" {_FONT} {more}>{escape(text)}</text>'


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.3g}"


def plots() -> Iterator[tuple[str, Plot]]:
    """Yield what can be drawn of what was measured, by the name of its file."""
    if rate := kept("rate"):
        points = rate["points"]
        by_rate = _curves(points, lambda p: f"{p['whose']}, {p['interval']}", "rate")
        yield "rate", Plot("CPU by rate, exactly-once", "messages a second", "% of a core", by_rate)
        ours = [p for p in points if p["whose"] != ORIGINAL]
        by_interval = _curves(
            [{**p, "ms": _ms(p["interval"])} for p in ours],
            lambda p: f"{p['rate']:g} messages/s",
            "ms",
        )
        x = "checkpoint interval, ms"
        yield "interval", Plot("CPU by checkpoint interval", x, "% of a core", by_interval)
    if addresses := kept("addresses"):
        curves = _curves(addresses["points"], lambda p: p["whose"], "addresses", "cpu_us")
        table = (kept("compare") or {"table": []})["table"]
        theirs = [row for row in table if row["subject"] == f"{ORIGINAL}, exactly-once"]
        curves |= _curves(theirs, lambda p: ORIGINAL, "addresses", "cpu_us")
        title = "CPU of a message by addresses, exactly-once, 1 s"
        yield "addresses", Plot(title, "addresses", "µs", curves)
    if large := kept("large"):
        states = [p for p in large["points"] if p["state_bytes"]]
        curves = _curves(states, lambda p: "worker", "state_bytes", "cpu_us")
        curves |= _curves(states, lambda p: "four copies", "state_bytes", "four_copies_us")
        title = "CPU of a message by size of state, exactly-once, 1 s"
        yield "state", Plot(title, "bytes of state", "µs", curves, has_log_y=True)


def _curves(
    points: Iterable[dict[str, Any]], name: Any, x: str, y: str = "cpu_percent"
) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for point in points:
        curves.setdefault(name(point), []).append((point[x], point[y]))
    return curves


def _ms(interval: str) -> float:
    return float(interval[:-2]) if interval.endswith("ms") else float(interval[:-1]) * 1_000


def main() -> int:
    for name, plot in plots():
        path = RESULTS / f"{name}.svg"
        path.write_text(svg(plot), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
