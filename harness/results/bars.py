"""The report's bars and tables of colour: times, outcomes, prices, and a figure over two factors. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.results import scales
from harness.results.canvas import TICK, Panel, Plot, finish, sheet
from harness.results.looks import by_load
from harness.results.marks import COLOURS, INK, NOWHERE, Point, box, path, text

MOST_ROWS, MOST_LEVELS = 60, 30
MOST_GRID = 400
ROW, THIN_ROW, FIELD = 20.0, 14.0, 32.0
THICK = 0.72  # of a row: its bar
OUTCOMES = {"succeeded": "#FFFFFF", "failed": COLOURS[1], "unfinished": "#BBBBBB"}
COUNTS = ("requests_sent", *(f"requests_{kind}" for kind in OUTCOMES))
BEST = "#D55E00"
# From dark to bright along cividis (Nuñez, Anderton and Renslow 2018): in order in grey and with any colour blindness.
CIVIDIS = ((0, 34, 78), (66, 78, 108), (125, 124, 120), (186, 173, 108), (254, 232, 56))


def time_to_ready(runs: pd.DataFrame, labels: Sequence[str], *, simulated: bool) -> Plot | None:
    """A bar per cell: seconds from the create to a working completion; the median over its runs."""
    known = runs.dropna(subset=["time_to_ready_s"]).groupby("label", sort=False)["time_to_ready_s"].median()
    known = known.reindex([label for label in labels if label in known.index])
    if known.empty:
        return None
    paper = sheet(
        "Time to ready",
        simulated=simulated,
        xs=[scales.linear([known.max() * 1.1], "seconds from create to a working completion")],
        y=scales.rows(known.index.to_list()),
        high=ROW * len(known),
    )
    for row, seconds in enumerate(known):
        paper.panel.pieces.append(_bar(paper.panel, row, 0, seconds, fill=COLOURS[0]))
        _beside(paper.panel, f"{seconds:.0f} s", seconds, row)
    words = f"From {known.min():.0f} s ({known.idxmin()}) to {known.max():.0f} s ({known.idxmax()})."
    return finish(paper, "time-to-ready", words)


def request_outcomes(levels: pd.DataFrame, *, simulated: bool) -> Plot | None:
    """A stacked bar per level, or per cell where there are many: the shares of requests that succeeded, failed and were
    unfinished; best cell first."""
    if levels.empty:
        return None
    places = {label: place for place, label in enumerate(dict.fromkeys(levels["label"]))}
    shown = by_load(levels.assign(place=levels["label"].map(places))).sort_values("place", kind="stable")
    names = [f"{label} · {load}" for label, load in zip(shown["label"], shown["load"], strict=True)]
    if len(shown) > MOST_LEVELS:
        shown = shown.groupby("label", sort=False, as_index=False)[list(COUNTS)].sum()
        names = list(shown["label"])
    shown, names = shown.head(MOST_ROWS), names[:MOST_ROWS]
    percent = tuple((float(share), str(share)) for share in range(0, 101, 20))
    paper = sheet(
        "Request outcomes",
        simulated=simulated,
        xs=[scales.Scale(0, 100, percent, "share of requests (%)")],
        y=scales.rows(names),
        high=THIN_ROW * len(shown),
    )
    left = np.zeros(len(shown))
    total = shown["requests_sent"].where(shown["requests_sent"] > 0)
    for kind, fill in OUTCOMES.items():
        share = (shown[f"requests_{kind}"] / total).fillna(0).to_numpy() * 100
        for row in np.flatnonzero(share).tolist():
            ends = (left[row], left[row] + share[row])
            paper.panel.pieces.append(_bar(paper.panel, row, *ends, fill=fill))
            if kind == "failed":
                paper.panel.pieces.append(_hatch(paper.panel, row, *ends))
        left += share
        paper.legend.append((box((0, -5), 24, 10, fill=fill, edge=INK), kind))
    failed = int(levels["requests_failed"].sum())
    words = (
        f"{failed} of {int(levels['requests_sent'].sum())} requests failed, over {len(levels)} load levels."
    )
    return finish(paper, "request-outcomes", words)


def cost_bars(levels: pd.DataFrame, *, currency: str, simulated: bool) -> Plot | None:
    """A bar per cell: the price of 1M output tokens at its cheapest level within the SLO, or at its cheapest."""
    shown = levels.dropna(subset=["cost_per_mtok"])
    within = "meets_slo" in shown
    if within:
        shown = shown[shown["meets_slo"].astype(bool)]
    if shown.empty:
        return None
    best = shown.sort_values("cost_per_mtok").drop_duplicates("cell_id").head(MOST_ROWS)
    paper = sheet(
        "Cost per 1M output tokens" + (" within the SLO" if within else ""),
        simulated=simulated,
        xs=[
            scales.linear(
                [best["cost_per_mtok"].max() * 1.35], f"{currency} per 1M output tokens, start-up not counted"
            )
        ],
        y=scales.rows(best["label"].to_list()),
        high=ROW * len(best),
    )
    for row, (price, load) in enumerate(zip(best["cost_per_mtok"], best["load"], strict=True)):
        paper.panel.pieces.append(_bar(paper.panel, row, 0, price, fill=COLOURS[2]))
        _beside(paper.panel, f"{price:.2f} at {load}", price, row)
    first, last = best.iloc[0], best.iloc[-1]
    words = (
        f"From {first['cost_per_mtok']:.2f} {currency} ({first['label']}) to "
        f"{last['cost_per_mtok']:.2f} {currency} ({last['label']})."
    )
    return finish(paper, "cost", words)


def heatmap(
    table: pd.DataFrame,
    *,
    rows: str,
    columns: str,
    words: str,
    simulated: bool,
    lower_is_better: bool = False,
) -> Plot | None:
    """A figure over two factors, the number in every field and the best one framed; an empty field was not measured."""
    values = table.to_numpy(np.float64)
    if table.empty or table.size > MOST_GRID or not np.isfinite(values).any():
        return None
    paper = sheet(
        f"{words} over {_plain(rows)} and {_plain(columns)}",
        simulated=simulated,
        xs=[scales.named([str(value) for value in table.columns], _plain(columns))],
        y=scales.rows([str(value) for value in table.index], _plain(rows)),
        high=FIELD * len(table),
    )
    decimals = 0 if np.nanmax(np.abs(values)) >= 100 else 2
    worst, best = (
        (np.nanmax(values), np.nanmin(values)) if lower_is_better else (np.nanmin(values), np.nanmax(values))
    )
    for (row, column), value in np.ndenumerate(values):
        share = float((value - worst) / (best - worst)) if best != worst else 1.0
        told = f"{value:,.{decimals}f}" if np.isfinite(value) else "not measured"
        paper.panel.pieces.append(
            _field(paper.panel, row, column, told, share=share if np.isfinite(value) else None)
        )
    place = int(np.nanargmin(values) if lower_is_better else np.nanargmax(values))
    row, column = divmod(place, values.shape[1])
    paper.panel.pieces.append(_frame(paper.panel, row, column))
    told = f"Best: {values[row, column]:,.{decimals}f} with {table.index[row]} and {table.columns[column]}."
    stem = "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in (rows, columns))
    return finish(paper, f"heatmap-{stem}", told)


def _bar(panel: Panel, row: int, start: float, end: float, *, fill: str) -> str:
    """A level bar in a row, from one value to another."""
    left, top = panel.at(start, row - THICK / 2)
    right, bottom = panel.at(end, row + THICK / 2)
    return box((left, top), right - left, bottom - top, fill=fill, edge=INK)


def _hatch(panel: Panel, row: int, start: float, end: float) -> str:
    """Upright lines over a bar, by which it is told apart without its colour."""
    left, top = panel.at(start, row - THICK / 2)
    right, bottom = panel.at(end, row + THICK / 2)
    points: list[Point] = []
    for x in np.arange(left + 2, right, 4).tolist():
        points += [(x, top), (x, bottom), NOWHERE]
    return path(points, width=0.7, colour=INK)


def _beside(panel: Panel, words: str, value: float, row: int) -> None:
    """The number at the end of its bar."""
    x, y = panel.at(value, row)
    panel.pieces.append(text(words, (x + 4, y + TICK * 0.36), size=TICK))


def _field(panel: Panel, row: int, column: int, words: str, *, share: float | None) -> str:
    """A field of a table of colour, the brighter the better; white without a figure."""
    left, top = panel.at(column - 0.5, row - 0.5)
    right, bottom = panel.at(column + 0.5, row + 0.5)
    red, green, blue = (255, 255, 255) if share is None else _cividis(share)
    ink = "#000" if share is None or share > 0.5 else "#fff"
    at = ((left + right) / 2, (top + bottom) / 2 + TICK * 0.36)
    ground = box((left, top), right - left, bottom - top, fill=f"#{red:02x}{green:02x}{blue:02x}")
    return ground + text(words, at, size=TICK, anchor="middle", fill=ink)


def _cividis(share: float) -> tuple[int, int, int]:
    """The colour at a share of the way from dark to bright."""
    place = min(max(share, 0.0), 1.0) * (len(CIVIDIS) - 1)
    below = min(int(place), len(CIVIDIS) - 2)
    red, green, blue = (
        round(low + (high - low) * (place - below))
        for low, high in zip(CIVIDIS[below], CIVIDIS[below + 1], strict=True)
    )
    return red, green, blue


def _frame(panel: Panel, row: int, column: int) -> str:
    """A frame just inside a field."""
    left, top = panel.at(column - 0.5, row - 0.5)
    right, bottom = panel.at(column + 0.5, row + 0.5)
    corners = [(left + 2, top + 2), (right - 2, top + 2), (right - 2, bottom - 2), (left + 2, bottom - 2)]
    return path([*corners, corners[0], corners[1]], width=3, colour=BEST)


def _plain(factor: str) -> str:
    return factor if factor.startswith("--") else factor.replace("_", " ")
