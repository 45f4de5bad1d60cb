"""Marks, lines and texts as pieces of SVG. Pure text; what tells cells apart is told in black and white too.

Colours are Okabe and Ito's, which people with any common colour blindness tell apart, ordered by darkness contrast. The
classes ``ink``, ``rule``, ``paper`` and ``c0`` to ``c7`` let a dark page turn them (``templates/report.html.j2``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
SHAPES = ("circle", "square", "triangle", "diamond", "inverted", "plus", "cross", "star")
DASHES = ("", "6 3", "7 2 1.5 2", "1.5 2")
INK, RULE, REST = "#16191d", "#e2e5ea", "#a9afb8"
LETTER = 0.58  # of a letter's size: its width, on the safe side of the mean
RADIUS, RING = 3.6, 8.0

Point = tuple[float, float]
NOWHERE: Point = (math.nan, math.nan)  # breaks a line


@dataclass(frozen=True, slots=True)
class Look:
    """How one thing is drawn: its colour's number, the shape of its marks, the dashes of its line."""

    colour: int
    shape: str
    dash: str


LOOKS = tuple(Look(order, SHAPES[order], DASHES[order % len(DASHES)]) for order in range(len(COLOURS)))


def number(value: float) -> str:
    """A coordinate to a tenth of a unit, without what says nothing."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def width_of(text: str, *, size: float) -> float:
    """About how wide a text is."""
    return len(text) * size * LETTER


def text(
    words: str,
    at: Point,
    *,
    size: float,
    anchor: str = "start",
    rotated: bool = False,
    fill: str = "",
    bold: bool = False,
) -> str:
    """A text whose base line is at the point; ``rotated`` reads upwards. In ink unless ``fill`` says otherwise."""
    x, y = (number(value) for value in at)
    colour = f'fill="{fill}"' if fill else f'class="ink" fill="{INK}"'
    turned = f' transform="rotate(-90 {x} {y})"' if rotated else ""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" {colour} font-size="{number(size)}" text-anchor="{anchor}"{weight}{turned}>'
        f"{escape(words, quote=False)}</text>"
    )


def path(points: Iterable[Point], *, dash: str = "", width: float = 1.4, colour: str = "currentColor") -> str:
    """A line through the points, broken where a coordinate is not finite."""
    steps, pen = [], "M"
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            steps.append(f"{pen}{number(x)} {number(y)}")
            pen = "L"
        else:
            pen = "M"
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="{number(width)}"{dashes}/>'
    )


def dots(points: Iterable[Point]) -> str:
    """A small dot at each point, so that a line of one point is seen."""
    steps = "".join(f"M{number(x)} {number(y)}h0" for x, y in points if math.isfinite(x) and math.isfinite(y))
    return f'<path d="{steps}" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>'


def rule(start: Point, end: Point, *, width: float = 1.0) -> str:
    """A thin grey line of the grid."""
    (x1, y1), (x2, y2) = start, end
    return (
        f'<path class="rule" d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}" stroke="{RULE}" '
        f'stroke-width="{number(width)}"/>'
    )


def stroke(points: Sequence[Point], *, dash: str = "", width: float = 1.4) -> str:
    """A line in ink."""
    return f'<g class="ink" color="{INK}">{path(points, dash=dash, width=width)}</g>'


def box(corner: Point, wide: float, high: float, *, fill: str, edge: str = "") -> str:
    """A filled rectangle from its upper left corner, with an edge in that colour if it is to have one."""
    x, y = (number(value) for value in corner)
    line = f' stroke="{edge}" stroke-width="0.7"' if edge else ""
    return f'<rect x="{x}" y="{y}" width="{number(wide)}" height="{number(high)}" fill="{fill}"{line}/>'


def mark(look: Look, at: Point, *, hollow: bool = False, tip: str = "") -> str:
    """A mark with a dark edge, white inside when ``hollow``; ``tip`` is shown where a pointer rests on it."""
    fill = 'class="paper" fill="#fff"' if hollow else 'fill="currentColor"'
    edge = 'stroke="currentColor" stroke-width="1.3"' if hollow else f'stroke="{INK}" stroke-width="0.5"'
    shape = f'<path d="{_outline(look.shape, at)}" {fill} {edge}'
    return f"{shape}><title>{escape(tip, quote=False)}</title></path>" if tip else f"{shape}/>"


def coloured(look: Look, pieces: Iterable[str]) -> str:
    """The pieces in the look's colour."""
    return f'<g class="c{look.colour}" color="{COLOURS[look.colour]}">{"".join(pieces)}</g>'


def ring(at: Point, *, radius: float = RING) -> str:
    """A circle around something."""
    return f'<path class="ring" d="{_circle(at, radius)}" fill="none" stroke="{INK}" stroke-width="1.3"/>'


def cross(at: Point) -> str:
    """A cross over something."""
    x, y = at
    lines = [(x - 6, y - 6), (x + 6, y + 6), NOWHERE, (x - 6, y + 6), (x + 6, y - 6)]
    return stroke(lines, width=1.6)


def _circle(at: Point, radius: float) -> str:
    x, y, r = number(at[0] - radius), number(at[1]), number(radius)
    across = number(2 * radius)
    return f"M{x} {y}a{r} {r} 0 1 0 {across} 0a{r} {r} 0 1 0 -{across} 0z"


def _outline(shape: str, at: Point) -> str:
    """A shape's edge around a point; all are about equally dark."""
    x, y = at
    if shape == "circle":
        return _circle(at, RADIUS)
    corners = [(x + dx * RADIUS, y + dy * RADIUS) for dx, dy in CORNERS[shape]]
    return "M" + "L".join(f"{number(cx)} {number(cy)}" for cx, cy in corners) + "z"


def _star() -> tuple[Point, ...]:
    turns = [(math.pi * n / 5, 1.45 if n % 2 == 0 else 0.6) for n in range(10)]
    return tuple((math.sin(turn) * reach, -math.cos(turn) * reach) for turn, reach in turns)


_ARM = 0.42
_PLUS = ((-_ARM, -1.1), (_ARM, -1.1), (_ARM, -_ARM), (1.1, -_ARM), (1.1, _ARM), (_ARM, _ARM))
CORNERS: dict[str, tuple[Point, ...]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.25), (1.15, 0.9), (-1.15, 0.9)),
    "inverted": ((0, 1.25), (1.15, -0.9), (-1.15, -0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "plus": (*_PLUS, *((-x, -y) for x, y in _PLUS)),
    "cross": tuple(
        ((x - y) * math.sqrt(0.5), (x + y) * math.sqrt(0.5))
        for x, y in (*_PLUS, *((-x, -y) for x, y in _PLUS))
    ),
    "star": _star(),
}
