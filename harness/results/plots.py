"""The report's plots of every level: trade-offs, and figures against load; None where there is nothing to show. Pure.

Every figure says SIMULATED in its title where the run is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from harness.load.search import NEAR_BEST
from harness.results.canvas import Panel, Plot, Sheet, finish, sheet
from harness.results.figures import rests_on_few
from harness.results.looks import LIMIT_DASH, Looks, by_load, draw_paths, name_limit, name_paths, paths_of
from harness.results.marks import RING, ring, stroke
from harness.results.scales import Scale, doubling, latencies, linear, named

FEWEST_FOR_KNEE = 3
# Names of loads that have room under one axis of three.
MOST_NAMES = 12
PARTS = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column on an axis: its words with the unit, the factor to that unit, and a limit in the column's own."""

    column: str
    words: str
    factor: float = 1.0
    limit: float | None = None

    @property
    def short(self) -> str:
        """The words without what stands in parentheses."""
        return self.words.split(" (")[0]

    def of(self, frame: pd.DataFrame) -> pd.Series:
        """The column in the unit of the axis."""
        return frame[self.column] * self.factor


OUTPUT = Quantity("output_throughput_tok_s", "output tokens/s")
PER_GPU = Quantity("output_throughput_tok_s_per_gpu", "output tokens/s per GPU")
PER_USER = Quantity("per_user_throughput_tok_s", "tokens/s per user (1 / median TPOT)")


def trade_off(
    levels: pd.DataFrame,
    x: Quantity,
    y: Quantity,
    *,
    name: str,
    front: set[tuple[str, str]],
    looks: Looks,
    simulated: bool,
) -> Plot | None:
    """A scatter of all levels, a line a cell; ``front`` holds the (cell_id, level) of the levels to ring."""
    shown = levels.dropna(subset=[x.column, y.column])
    if shown.empty:
        return None
    shown = with_points(shown, x.of(shown), y.of(shown), x_words=x.words, y_words=y.words)
    shown["few"] = rests_on_few(shown, x.column)
    limit = None if x.limit is None else x.limit * x.factor
    title = f"{y.short} against {x.short}"
    paper = sheet(
        title[0].upper() + title[1:],
        simulated=simulated,
        xs=[latencies(shown["x"], x.words, limit=limit) if x.factor > 1 else linear(shown["x"], x.words)],
        y=linear(shown["y"], y.words),
    )
    panel, paths = paper.panel, paths_of(shown, looks)
    if limit is not None:
        panel.line_at_x(limit, dash=LIMIT_DASH)
    draw_paths(panel, paths, looks)
    name_paths(paper, paths, looks)
    on_front = shown[[key in front for key in zip(shown["cell_id"], shown["level"], strict=True)]]
    _ring(paper, on_front, looks)
    if y.column == OUTPUT.column and (knees := _knees(shown)):
        panel.pieces.extend(_tick(panel, *point) for point in knees)
        paper.legend.append((stroke([(12, -7), (12, 7)], width=2), "knee"))
    if limit is not None:
        name_limit(paper, panel.x, limit)
    best = shown.iloc[int(shown["y"].argmax())]
    words = (
        f"{len(shown)} load levels of {len(paths)} cells. Highest {y.short}: {best['label']} at "
        f"{best['load']}, {best['y']:,.0f} at {best['x']:,.0f} {x.words}. "
        f"{len(on_front)} levels are on the Pareto front."
    )
    return finish(paper, name, words)


def _ring(paper: Sheet, on_front: pd.DataFrame, looks: Looks) -> None:
    """A ring around each level of the Pareto front, and its name where there is room for it."""
    panel = paper.panel
    rows = on_front.to_dict("records")
    for level in rows:
        at = panel.at(level["x"], level["y"])
        panel.pieces.append(ring(at))
        panel.keep_free(at, RING)
    for level in rows:
        # The mark tells which of the named cells it is.
        is_named = looks.look(level["cell_id"]) is not None
        panel.note(
            level["x"], level["y"], level["load"] if is_named else f"{level['label']} · {level['load']}"
        )
    paper.legend.append((ring((12, 0), radius=6), "Pareto front"))


def with_points(
    levels: pd.DataFrame, xs: pd.Series, ys: pd.Series, *, x_words: str, y_words: str
) -> pd.DataFrame:
    """The levels with the columns ``x``, ``y`` and ``tip``, which says of each what it is."""
    named_levels = zip(levels["label"], levels["load"], xs, ys, strict=True)
    tips = [
        f"{label} · {load}: {y:,.4g} {y_words}" + (f" at {x:,.4g} {x_words}" if x_words else "")
        for label, load, x, y in named_levels
    ]
    return levels.assign(x=xs, y=ys, tip=tips, few=False)


def knee(path: pd.DataFrame) -> int | None:
    """The row of a cell's closed-loop levels from which more users bring little: the fewest users with nine tenths of
    the best throughput, as ``harness load --find knee`` has it. None below three levels, or while it still grew."""
    users = path.dropna(subset=["concurrency"]).sort_values("concurrency")
    if len(users) < FEWEST_FOR_KNEE:
        return None
    reached = users[OUTPUT.column]
    first = int((reached >= NEAR_BEST * reached.max()).to_numpy().argmax())
    return None if first == len(users) - 1 else int(users.index[first])


def _knees(levels: pd.DataFrame) -> list[tuple[float, float]]:
    """Where the knee of each cell is, of those that have one."""
    rows = [knee(path) for _, path in levels.groupby("cell_id", sort=False)]
    return [(float(levels["x"][row]), float(levels["y"][row])) for row in rows if row is not None]


def _tick(panel: Panel, x: float, y: float) -> str:
    """An upright stroke through a point."""
    across, down = panel.at(x, y)
    return stroke([(across, down - 10), (across, down + 10)], width=2)


def latency_against_load(
    levels: pd.DataFrame, metric: str, *, looks: Looks, limits: Mapping[str, float], simulated: bool
) -> Plot | None:
    """The p50, p95 and p99 of one latency (``ttft``, ``tpot``, ``e2e``) against load, one line a cell.

    ``limits`` are the SLO's bounds in seconds by percentile column.
    """
    columns = [column for part in PARTS if (column := f"{metric}_{part}_s") in levels]
    shown = levels.dropna(subset=columns)
    if shown.empty or not columns:
        return None
    shown = shown.assign(**{column: shown[column] * 1000 for column in columns})
    bounds = {column: limits[column] * 1000 for column in columns if column in limits}
    figures = [value for column in columns for value in shown[column]]
    y = latencies(figures, f"{metric.upper()} (ms)", limit=max(bounds.values(), default=None))
    paper = _against_load(
        shown,
        columns,
        y,
        title=f"{metric.upper()} percentiles against load",
        looks=looks,
        simulated=simulated,
    )
    for panel, column in zip(paper.panels, columns, strict=True):
        if column in bounds:
            panel.line_at_y(bounds[column], dash=LIMIT_DASH)
    for bound in dict.fromkeys(bounds.values()):
        name_limit(paper, y, bound)
    words = (
        f"{metric.upper()} of {shown['cell_id'].nunique()} cells: {PARTS[0]} from {min(figures):.1f} ms, {PARTS[-1]} "
        f"up to {max(figures):.1f} ms."
    )
    return finish(paper, f"{metric}-load", words)


def goodput_against_load(levels: pd.DataFrame, *, looks: Looks, simulated: bool) -> Plot | None:
    """Requests per second that kept the SLO, against load, one line a cell; only with an SLO."""
    shown = levels.dropna(subset=["goodput_req_s"])
    if shown.empty:
        return None
    y = linear(shown["goodput_req_s"], "requests/s within the SLO")
    paper = _against_load(
        shown, ["goodput_req_s"], y, title="Goodput against load", looks=looks, simulated=simulated
    )
    best = shown.iloc[int(shown["goodput_req_s"].argmax())]
    words = f"Highest goodput: {best['label']} at {best['load']}, {best['goodput_req_s']:.2f} requests/s."
    return finish(paper, "goodput-load", words)


def _against_load(
    levels: pd.DataFrame, columns: Sequence[str], y: Scale, *, title: str, looks: Looks, simulated: bool
) -> Sheet:
    """A panel for each column, one line a cell over its load levels: users or requests per second where all are of
    one kind, else by name."""
    places, x = _load_axis(levels, panels=len(columns))
    heads = [column.split("_")[1] for column in columns] if len(columns) > 1 else []
    paper = sheet(title, simulated=simulated, xs=[x] * len(columns), y=y, heads=heads)
    drawn = []
    for panel, column in zip(paper.panels, columns, strict=True):
        shown = with_points(levels, places, levels[column], x_words="", y_words=y.words)
        paths = paths_of(shown.assign(few=rests_on_few(levels, column)), looks)
        draw_paths(panel, paths, looks)
        drawn.append(paths)
    name_paths(paper, drawn[-1], looks)
    return paper


def _load_axis(levels: pd.DataFrame, *, panels: int) -> tuple[pd.Series, Scale]:
    """The place of each level on the axis, and the axis; of loads of several kinds the order is all there is."""
    users, rates = (levels.get(name, pd.Series(dtype=float)) for name in ("concurrency", "rate_req_s"))
    if len(users) and users.notna().all():
        return users.astype(float), doubling(users.astype(float), "users (concurrency)")
    if len(rates) and rates.notna().all():
        return rates.astype(float), linear(rates.astype(float), "requests/s offered")
    names = list(dict.fromkeys(by_load(levels)["load"]))
    places = {load: float(place) for place, load in enumerate(names)}
    most = MOST_NAMES if panels > 1 else 2 * MOST_NAMES
    return levels["load"].map(places), named(names, "load", most_ticks=most)
