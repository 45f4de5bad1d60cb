"""The report's bars and tables of colour: times, outcomes, prices, and a figure over two factors. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from harness.results.canvas import COLOURS, HATCHES, LEGEND_PT, ROW_PT, Plot, blank, by_load, finish
from harness.units import counted

MOST_ROWS = 60
MOST_GRID = 400


def time_to_ready(runs: pd.DataFrame, labels: Sequence[str], *, simulated: bool) -> Plot | None:
    """A bar per cell: seconds from the create to a working completion; the median over its runs."""
    known = runs.dropna(subset=["time_to_ready_s"]).groupby("label", sort=False)["time_to_ready_s"].median()
    known = known.reindex([label for label in labels if label in known.index])
    if known.empty:
        return None
    figure, axes = blank("Time to ready", simulated=simulated, height=1.6 + 0.32 * len(known))
    axes.barh(range(len(known)), known.to_numpy(), color=COLOURS[0], edgecolor="black")
    for row, seconds in enumerate(known):
        axes.annotate(
            f"{seconds:.0f} s",
            (seconds, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=ROW_PT,
        )
    axes.set_yticks(range(len(known)), known.index.to_list(), fontsize=ROW_PT)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("seconds from create to a working completion")
    words = f"From {known.min():.0f} s ({known.idxmin()}) to {known.max():.0f} s ({known.idxmax()})."
    return finish(figure, "time-to-ready", axes.get_title(), words)


def request_outcomes(levels: pd.DataFrame, *, simulated: bool) -> Plot | None:
    """A stacked bar per level: the shares of requests that succeeded, failed and were unfinished; best cell first."""
    if levels.empty:
        return None
    places = {label: place for place, label in enumerate(dict.fromkeys(levels["label"]))}
    shown = by_load(levels.assign(place=levels["label"].map(places))).sort_values("place", kind="stable")
    shown = shown.head(MOST_ROWS)
    total = shown["requests_sent"].where(shown["requests_sent"] > 0)
    figure, axes = blank("Request outcomes", simulated=simulated, height=1.8 + 0.24 * len(shown))
    left = np.zeros(len(shown))
    for order, kind in enumerate(("succeeded", "failed", "unfinished")):
        share = (shown[f"requests_{kind}"] / total).fillna(0).to_numpy() * 100
        axes.barh(
            range(len(shown)), share, left=left, label=kind, color=("#FFFFFF", "#D55E00", "#BBBBBB")[order],
            hatch=HATCHES[order], edgecolor="black", linewidth=0.6,
        )  # fmt: skip
        left += share
    names = [f"{label} · {load}" for label, load in zip(shown["label"], shown["load"], strict=True)]
    axes.set_yticks(range(len(shown)), names, fontsize=ROW_PT)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of requests (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=LEGEND_PT, frameon=False)
    axes.set_title(axes.get_title(), pad=24)
    failed = int(shown["requests_failed"].sum())
    words = f"{failed} of {int(shown['requests_sent'].sum())} requests failed over {counted(len(shown), 'load level')}."
    return finish(figure, "request-outcomes", axes.get_title(), words)


def cost_bars(levels: pd.DataFrame, *, currency: str, simulated: bool) -> Plot | None:
    """A bar per cell: the price of 1M output tokens at its cheapest level within the SLO, or at its cheapest."""
    shown = levels.dropna(subset=["cost_per_mtok"])
    within = "meets_slo" in shown
    if within:
        shown = shown[shown["meets_slo"].astype(bool)]
    if shown.empty:
        return None
    best = shown.sort_values("cost_per_mtok").drop_duplicates("cell_id").head(MOST_ROWS)
    title = "Cost per 1M output tokens" + (" within the SLO" if within else "")
    figure, axes = blank(title, simulated=simulated, height=1.6 + 0.32 * len(best))
    axes.barh(range(len(best)), best["cost_per_mtok"].to_numpy(), color=COLOURS[2], edgecolor="black")
    for row, (price, load) in enumerate(zip(best["cost_per_mtok"], best["load"], strict=True)):
        _beside(axes, f"{price:.2f} at {load}", price, row)
    axes.set_yticks(range(len(best)), best["label"].to_list(), fontsize=ROW_PT)
    axes.set_ylim(len(best) - 0.4, -0.6)
    axes.margins(x=0.18)
    axes.set_xlabel(f"{currency} per 1M output tokens, start-up not counted")
    first, last = best.iloc[0], best.iloc[-1]
    words = (
        f"From {first['cost_per_mtok']:.2f} {currency} ({first['label']}) to "
        f"{last['cost_per_mtok']:.2f} {currency} ({last['label']})."
    )
    return finish(figure, "cost", axes.get_title(), words)


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
    if table.empty or table.size > MOST_GRID or not np.isfinite(table.to_numpy()).any():
        return None
    height = 1.6 + 0.45 * len(table)
    figure, axes = blank(
        f"{words} over {_plain(rows)} and {_plain(columns)}", simulated=simulated, height=height
    )
    axes.grid(visible=False)
    values = table.to_numpy(np.float64)
    image = axes.imshow(values, cmap="cividis_r" if lower_is_better else "cividis", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    decimals = 0 if np.nanmax(np.abs(values)) >= 100 else 2
    for (row, column), value in np.ndenumerate(values):
        ink = "black" if (value > middle) != lower_is_better else "white"
        text, ink = (f"{value:,.{decimals}f}", ink) if np.isfinite(value) else ("not measured", "black")
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(table.shape[1]), [str(value) for value in table.columns], fontsize=ROW_PT)
    axes.set_yticks(range(table.shape[0]), [str(value) for value in table.index], fontsize=ROW_PT)
    axes.set_xlabel(_plain(columns))
    axes.set_ylabel(_plain(rows))
    figure.colorbar(image, ax=axes)
    place = int(np.nanargmin(values) if lower_is_better else np.nanargmax(values))
    row, column = divmod(place, values.shape[1])
    axes.add_patch(
        Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, fill=False, edgecolor="#D55E00", linewidth=3)
    )
    told = f"Best: {values[row, column]:,.{decimals}f} with {table.index[row]} and {table.columns[column]}."
    stem = "-".join(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in (rows, columns))
    return finish(figure, f"heatmap-{stem}", axes.get_title(), told)


def _beside(axes: Axes, text: str, x: float, row: int) -> None:
    """The number at the end of its bar."""
    axes.annotate(text, (x, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=ROW_PT)


def _plain(factor: str) -> str:
    return factor if factor.startswith("--") else factor.replace("_", " ")
