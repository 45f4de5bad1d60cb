"""The paper under every plot of a report: panels between axes, a legend below, notes beside points; SVG comes of it.

Written out here rather than by a plotting library: a report has twenty figures, and is opened on phones, in the dark,
and by people who rest a pointer on a point. Every place is reckoned from the texts' lengths. Pure.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from harness.results.marks import Point, box, number, rule, stroke, text, width_of
from harness.results.scales import Scale

WIDTH, HIGH = 480.0, 230.0
TITLE, LABEL, TICK, NOTE = 13.5, 11.5, 10.5, 9.5  # sizes of letters
LINE = 15.0
GAP, RIGHT = 10.0, 12.0
TITLE_LETTERS = 54
WIDEST_LABELS = 0.6  # share of the width that the names of rows may take


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn figure with its file stem, and what it shows in words for those who cannot see it."""

    name: str
    title: str
    description: str
    svg: str = field(repr=False)

    @property
    def inline(self) -> str:
        """The figure as a part of a page, where its name space goes without saying."""
        return self.svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair of axes on a sheet; ``corner`` is the upper left one. What is drawn goes to ``pieces``."""

    x: Scale
    y: Scale
    corner: Point
    wide: float
    high: float
    pieces: list[str]
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values is on the sheet."""
        left, top = self.corner
        return left + self.x.place(x) * self.wide, top + (1 - self.y.place(y)) * self.high

    def line_at_x(self, value: float, *, dash: str = "") -> None:
        """A line across the panel, upright; none where the value is outside."""
        if self.x.holds(value):
            self.pieces.append(stroke([self.at(value, self.y.low), self.at(value, self.y.high)], dash=dash))

    def line_at_y(self, value: float, *, dash: str = "") -> None:
        """A line across the panel, level; none where the value is outside."""
        if self.y.holds(value):
            self.pieces.append(stroke([self.at(self.x.low, value), self.at(self.x.high, value)], dash=dash))

    def keep_free(self, at: Point, radius: float) -> None:
        """No note is to cover what is drawn around a point."""
        x, y = at
        self.taken.append((x - radius, y - radius, 2 * radius, 2 * radius))

    def note(self, x: float, y: float, words: str) -> None:
        """A text beside a point where there is room for it beside no other and inside the panel; else none."""
        at_x, at_y = self.at(x, y)
        wide = width_of(words, size=NOTE)
        for right, up in ((True, True), (True, False), (False, True), (False, False)):
            left = at_x + 10 if right else at_x - 10 - wide
            top = at_y - NOTE - 3 if up else at_y + 3
            if self._is_free(left, top, wide, NOTE + 1):
                self.taken.append((left, top, wide, NOTE + 1))
                ground = box((left - 1, top), wide + 2, NOTE + 2, fill="inherit")
                self.pieces.append(f'<g class="paper" fill="#fff" fill-opacity="0.75">{ground}</g>')
                self.pieces.append(text(words, (left, top + NOTE), size=NOTE))
                return

    def _is_free(self, left: float, top: float, wide: float, high: float) -> bool:
        x0, y0 = self.corner
        if left < x0 or top < y0 or left + wide > x0 + self.wide or top + high > y0 + self.high:
            return False
        return not any(
            left < other_x + other_w
            and other_x < left + wide
            and top < other_y + other_h
            and other_y < top + high
            for other_x, other_y, other_w, other_h in self.taken
        )


@dataclass(slots=True)
class Sheet:
    """A figure under way: its panels, how far down they reach, and its legend.

    An entry of the legend is a sample, 24 wide and drawn around (12, 0), and its words.
    """

    title: str
    panels: list[Panel]
    below: float
    pieces: list[str]
    legend: list[tuple[str, str]] = field(default_factory=list)

    @property
    def panel(self) -> Panel:
        """The only panel, or the first."""
        return self.panels[0]


def sheet(
    title: str,
    *,
    simulated: bool,
    xs: Sequence[Scale],
    y: Scale,
    heads: Sequence[str] = (),
    high: float = HIGH,
) -> Sheet:
    """A sheet with a panel for each of ``xs``, side by side over one y axis; ``high`` is a panel's height."""
    whole = f"{title} (SIMULATED)" if simulated else title
    lines = textwrap.wrap(whole, TITLE_LETTERS)
    pieces = [
        text(line, (WIDTH / 2, 17 + LINE * place), size=TITLE, anchor="middle", bold=True)
        for place, line in enumerate(lines)
    ]
    ticks = [shortened(words) for _, words in y.ticks]
    left = 10 + max((width_of(words, size=TICK) for words in ticks), default=0) + (LINE if y.words else 0)
    top = 26 + LINE * (len(lines) - 1) + (LINE if heads else 0)
    wide = (WIDTH - left - RIGHT - GAP * (len(xs) - 1)) / len(xs)
    panels = [
        Panel(x, y, (left + place * (wide + GAP), top), wide, high, pieces) for place, x in enumerate(xs)
    ]
    for place, panel in enumerate(panels):
        _grid(panel, ticks if place == 0 else None)
    for panel, head in zip(panels, heads, strict=False):
        pieces.append(text(head, (panel.corner[0] + wide / 2, top - 5), size=LABEL, anchor="middle"))
    if y.words:
        pieces.append(text(y.words, (LINE - 3, top + high / 2), size=LABEL, anchor="middle", rotated=True))
    return Sheet(whole, panels, max(_foot(panel) for panel in panels), pieces)


def shortened(words: str) -> str:
    """A name that leaves room for what it names: cut in the middle, since names differ at their ends."""
    most = int(WIDTH * WIDEST_LABELS / width_of("x", size=TICK))
    head = most // 3
    return words if len(words) <= most else f"{words[:head]}…{words[head + 1 - most :]}"


def _grid(panel: Panel, ticks: Sequence[str] | None) -> None:
    """Grid lines and frame; the y axis is written where ``ticks`` are given."""
    (left, top), pieces = panel.corner, panel.pieces
    for place, (value, _) in enumerate(panel.y.ticks):
        _, y = panel.at(panel.x.low, value)
        if not panel.y.of_names:
            pieces.append(rule((left, y), (left + panel.wide, y)))
        if ticks is not None:
            pieces.append(text(ticks[place], (left - 5, y + TICK * 0.36), size=TICK, anchor="end"))
    for value, _ in () if panel.x.of_names else panel.x.ticks:
        x, _ = panel.at(value, panel.y.low)
        pieces.append(rule((x, top), (x, top + panel.high)))
    corners = [(left, top), (left, top + panel.high), (left + panel.wide, top + panel.high)]
    pieces.append(stroke(corners, width=1.0))


def _foot(panel: Panel) -> float:
    """Writes the x axis, upright where its words would touch; how far down that reaches."""
    bottom = panel.corner[1] + panel.high
    places = [panel.at(value, panel.y.low)[0] for value, _ in panel.x.ticks]
    widest = max((width_of(words, size=TICK) for _, words in panel.x.ticks), default=0.0)
    nearest = min((b - a for a, b in itertools.pairwise(places)), default=panel.wide)
    upright = widest + 4 > nearest
    for x, (_, words) in zip(places, panel.x.ticks, strict=True):
        at = (x + TICK * 0.36, bottom + 5) if upright else (x, bottom + TICK + 4)
        anchor = "end" if upright else "middle"
        panel.pieces.append(text(words, at, size=TICK, anchor=anchor, rotated=upright))
    reach = bottom + (widest + 6 if upright else TICK + 7)
    if not panel.x.words:
        return reach
    half = width_of(panel.x.words, size=LABEL) / 2
    middle = min(max(panel.corner[0] + panel.wide / 2, half + 4), WIDTH - half - 4)
    panel.pieces.append(text(panel.x.words, (middle, reach + LABEL), size=LABEL, anchor="middle"))
    return reach + LABEL + 5


def finish(paper: Sheet, name: str, description: str) -> Plot:
    """The sheet as SVG with its legend below the panels, where it hides nothing; the same text for the same sheet."""
    widest = max((width_of(words, size=TICK) + 40 for _, words in paper.legend), default=WIDTH)
    columns = max(1, min(len(paper.legend), int((WIDTH - 16) / widest)))
    lines = -(-len(paper.legend) // columns)
    left = (WIDTH - columns * widest) / 2 + 4
    for place, (sample, words) in enumerate(paper.legend):
        column, line = divmod(place, lines)
        x, y = left + column * widest, paper.below + 10 + line * LINE
        paper.pieces.append(f'<g transform="translate({number(x)} {number(y)})">{sample}</g>')
        paper.pieces.append(text(words, (x + 31, y + TICK * 0.36), size=TICK))
    high = paper.below + lines * LINE + (8 if lines else 2)
    told = escape(f"{paper.title}. {description}")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {number(WIDTH)} {number(high)}" '
        f'width="{number(WIDTH * 1.5)}" height="{number(high * 1.5)}" role="img" aria-label="{told}" '
        f'font-family="system-ui, sans-serif"><rect class="paper" width="100%" height="100%" fill="#fff"/>'
        f"{''.join(paper.pieces)}</svg>\n"
    )
    return Plot(name, paper.title, description, svg)
