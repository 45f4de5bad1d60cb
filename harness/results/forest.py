"""What each factor does, drawn: one row a change, a dot for the effect and a line for its interval. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.results.canvas import COLOURS, WIDTH_IN, Plot, finish, titled
from harness.results.factors import Effect

MOST_ROWS = 40


def forest(effects: Sequence[Effect], figures: Mapping[str, str], *, simulated: bool) -> Plot | None:
    """A panel for each figure of ``figures`` (column to words) that has effects; None without any."""
    changes = list(dict.fromkeys(_change(effect) for effect in effects))[:MOST_ROWS]
    shown = [column for column in figures if any(effect.column == column for effect in effects)]
    if not changes:
        return None
    title = titled("Main effect of each factor, with 95 % intervals", simulated=simulated)
    figure = Figure(figsize=(WIDTH_IN, 1.6 + 0.34 * len(changes)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    rows = {change: row for row, change in enumerate(changes)}
    for axes, column in zip(grid, shown, strict=True):
        _panel(axes, [effect for effect in effects if effect.column == column], rows)
        axes.set_title(figures[column], fontsize=10)
    grid[0].set_yticks(range(len(changes)), changes, fontsize=8)
    grid[0].set_ylim(len(changes) - 0.4, -0.6)
    told = sum(effect.distinguished for effect in effects)
    words = f"{told} of {len(effects)} effects are distinguished from none (filled); hollow ones are not."
    return finish(figure, "main-effects", title, words)


def _panel(axes: Axes, effects: Sequence[Effect], rows: Mapping[str, int]) -> None:
    axes.axvline(0, color="black", linewidth=1)
    for effect in effects:
        row = rows.get(_change(effect))
        if row is None:
            continue
        if effect.interval is not None:
            ends = (effect.interval.low * 100, effect.interval.high * 100)
            axes.plot(ends, (row, row), color=COLOURS[0], linewidth=2)
        fill = COLOURS[0] if effect.distinguished else "white"
        axes.plot(
            effect.relative * 100,
            row,
            marker="o",
            markersize=7,
            markerfacecolor=fill,
            markeredgecolor=COLOURS[0],
        )
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("change (%)")


def _change(effect: Effect) -> str:
    factor = effect.factor if effect.factor.startswith("--") else effect.factor.replace("_", " ")
    return f"{factor}: {effect.base} → {effect.value}"
