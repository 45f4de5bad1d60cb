"""What cells look like, the same in every plot; their order from light to heavy load, and their lines. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from harness.results.canvas import Panel, Sheet
from harness.results.marks import (
    INK,
    LOOKS,
    NOWHERE,
    REST,
    Look,
    Point,
    coloured,
    cross,
    dots,
    mark,
    path,
    stroke,
)
from harness.results.scales import Scale

MOST_NAMED = len(LOOKS)  # more lines than that nobody tells apart
LIMIT_DASH = "1.5 2.5"
SAMPLE: Sequence[Point] = ((0, 0), (24, 0))
KINDS = ("concurrency", "rate_req_s")


@dataclass(frozen=True, slots=True)
class Looks:
    """How cells are drawn: a cell looks the same in every plot. ``ranks`` are places by cell_id, the best at 0."""

    ranks: Mapping[str, int]

    @classmethod
    def of(cls, levels: pd.DataFrame) -> Looks:
        """The cells of ranked levels, in their order."""
        return cls({str(cell_id): rank for rank, cell_id in enumerate(dict.fromkeys(levels["cell_id"]))})

    def look(self, cell_id: str) -> Look | None:
        """The cell's look; None for those past the ones that are told apart."""
        rank = self.ranks[cell_id]
        return LOOKS[rank] if rank < MOST_NAMED else None

    @property
    def others(self) -> str:
        """What the cells past those are called together."""
        return f"{len(self.ranks) - MOST_NAMED} other cells"


@dataclass(frozen=True, slots=True)
class CellPath:
    """The levels of a cell from light to heavy load, as points of a plot; the lists are of one length.

    ``kinds`` says which loads are of one kind: no line joins two kinds. ``few``: too few requests for the figure.
    """

    cell_id: str
    label: str
    points: list[Point] = field(default_factory=list)
    kinds: list[tuple[bool, ...]] = field(default_factory=list)
    few: list[bool] = field(default_factory=list)
    void: list[bool] = field(default_factory=list)
    tips: list[str] = field(default_factory=list)

    def strands(self) -> list[list[Point]]:
        """The points of each kind of load apart."""
        kinds = zip(self.kinds, self.points, strict=True)
        return [
            [point for _, point in strand] for _, strand in itertools.groupby(kinds, key=lambda item: item[0])
        ]


def paths_of(levels: pd.DataFrame, looks: Looks) -> list[CellPath]:
    """A path for each cell, the best first, from the columns ``x``, ``y``, ``few`` and ``tip`` of its levels."""
    ordered = by_load(levels)
    found: dict[str, CellPath] = {}
    columns = (ordered[name] for name in ("cell_id", "label", "x", "y", "few", "verdict", "tip"))
    kinds = zip(*(ordered[name].notna() for name in KINDS), strict=True)
    for (cell_id, label, x, y, few, verdict, tip), kind in zip(
        zip(*columns, strict=True), kinds, strict=True
    ):
        cell = found.setdefault(cell_id, CellPath(str(cell_id), str(label)))
        cell.points.append((float(x), float(y)))
        cell.kinds.append(kind)
        cell.few.append(bool(few))
        cell.void.append(verdict == "void")
        cell.tips.append(tip)
    return sorted(found.values(), key=lambda cell: looks.ranks[cell.cell_id])


def by_load(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows from light to heavy load, users before rates; in the order they were run where neither says."""
    return frame.sort_values([name for name in (*KINDS, "point") if name in frame], kind="stable")


def draw_paths(panel: Panel, paths: Sequence[CellPath], looks: Looks) -> None:
    """A line and marks for each cell, the best on top; cells past those that are told apart as thin grey lines.

    Levels of too few requests are hollow, void ones crossed out.
    """
    rest: list[Point] = []
    named: list[str] = []
    crosses: list[str] = []
    for cell in paths:
        look = looks.look(cell.cell_id)
        lines = [[panel.at(*point) for point in strand] for strand in cell.strands()]
        points = [point for line in lines for point in line]
        crosses += [cross(at) for at, void in zip(points, cell.void, strict=True) if void]
        if look is None:
            rest += [point for line in lines for point in (*line, NOWHERE)]
            continue
        marks = [
            mark(look, at, hollow=few, tip=tip)
            for at, few, tip in zip(points, cell.few, cell.tips, strict=True)
        ]
        named.append(coloured(look, [*(path(line, dash=look.dash) for line in lines), *marks]))
    if rest:
        panel.pieces.append(_in_grey(path(rest, width=0.9) + dots(rest)))
    panel.pieces.extend([*reversed(named), *crosses])


def name_paths(paper: Sheet, paths: Sequence[CellPath], looks: Looks) -> None:
    """The legend of ``draw_paths``: named cells, the others together, hollow and crossed marks where there are any."""
    for cell in paths:
        look = looks.look(cell.cell_id)
        if look is not None:
            paper.legend.append((sample_of(look), cell.label))
    if any(looks.look(cell.cell_id) is None for cell in paths):
        paper.legend.append((_in_grey(path(SAMPLE)), looks.others))
    if any(looks.look(cell.cell_id) is not None and any(cell.few) for cell in paths):
        hollow = mark(Look(6, "circle", ""), (12, 0), hollow=True)
        paper.legend.append((f'<g class="ink" color="{INK}">{hollow}</g>', "hollow: too few requests"))
    if any(any(cell.void) for cell in paths):
        paper.legend.append((cross((12, 0)), "void"))


def sample_of(look: Look) -> str:
    """A look's line and mark, for a legend."""
    return coloured(look, [path(SAMPLE, dash=look.dash), mark(look, (12, 0))])


def name_limit(paper: Sheet, scale: Scale, limit: float) -> None:
    """The SLO's line in the legend, or where it is when it is off the axis."""
    words = "SLO" if scale.holds(limit) else f"SLO: {limit:,g}, off the axis"
    paper.legend.append((stroke(SAMPLE, dash=LIMIT_DASH), words))


def _in_grey(pieces: str) -> str:
    return f'<g class="rest" color="{REST}">{pieces}</g>'
