"""What each factor does, drawn: one row a change, a dot for the effect and a line for its interval. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.results.canvas import Panel, Plot, finish, sheet
from harness.results.factors import Effect
from harness.results.marks import LOOKS, coloured, mark, path
from harness.results.scales import linear, rows

MOST_ROWS = 40
ROW = 22.0


def forest(effects: Sequence[Effect], figures: Mapping[str, str], *, simulated: bool) -> Plot | None:
    """A panel for each figure of ``figures`` (column to words) that has effects; None without any."""
    changes = list(dict.fromkeys(_change(effect) for effect in effects))[:MOST_ROWS]
    shown = {column: [each for each in effects if each.column == column] for column in figures}
    shown = {column: found for column, found in shown.items() if found}
    if not changes:
        return None
    scales = [linear(_ends(found), "change (%)", most_ticks=4) for found in shown.values()]
    paper = sheet(
        "Main effect of each factor, with 95 % intervals",
        simulated=simulated,
        xs=scales,
        y=rows(changes),
        heads=[figures[column] for column in shown],
        high=ROW * len(changes) + 6,
    )
    places = {change: place for place, change in enumerate(changes)}
    for panel, found in zip(paper.panels, shown.values(), strict=True):
        _draw(panel, found, places)
    told = sum(effect.distinguished for effect in effects)
    words = f"{told} of {len(effects)} effects are distinguished from none (filled); hollow ones are not."
    return finish(paper, "main-effects", words)


def _ends(effects: Sequence[Effect]) -> list[float]:
    """Every percentage that is drawn."""
    intervals = [effect.interval for effect in effects if effect.interval is not None]
    ends = [end * 100 for interval in intervals for end in (interval.low, interval.high)]
    return [*ends, *(effect.relative * 100 for effect in effects)]


def _draw(panel: Panel, effects: Sequence[Effect], places: Mapping[str, int]) -> None:
    panel.line_at_x(0)
    pieces = []
    for effect in effects:
        place = places.get(_change(effect))
        if place is None:
            continue
        told = f"{_change(effect)}: {effect.relative:+.1%} over {effect.pairs} pairs"
        if effect.interval is not None:
            ends = [panel.at(end * 100, place) for end in (effect.interval.low, effect.interval.high)]
            pieces.append(path(ends, width=2))
        at = panel.at(effect.relative * 100, place)
        pieces.append(mark(LOOKS[0], at, hollow=not effect.distinguished, tip=told))
    panel.pieces.append(coloured(LOOKS[0], pieces))


def _change(effect: Effect) -> str:
    factor = effect.factor if effect.factor.startswith("--") else effect.factor.replace("_", " ")
    return f"{factor}: {effect.base} → {effect.value}"
