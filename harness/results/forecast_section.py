"""The report's section on the forecast: what was predicted beside what was measured, level by level. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.forecast.calibration import Calibration, Calibrations
from harness.forecast.cell import INTERVAL_DEFAULT
from harness.results.document import Section, Table, TableCell
from harness.results.predictions import Prediction, Predictions

# Head, factor from seconds or tokens a second, decimals.
FIGURES = {
    "tpot_mean": ("TPOT mean (ms)", 1000.0, 1),
    "output_throughput": ("Output tok/s", 1.0, 0),
    "ttft_p50": ("TTFT p50 (ms)", 1000.0, 0),
}
CIRCULAR = "SIMULATED: the model that predicts also made these figures; that they agree says nothing of any hardware."
NOT_TTFT = (
    "Fitted on and judged by TPOT and, in closed loops, throughput. Times to first token are not: they hang on how "
    "requests come, and are forecast worse."
)


def forecast_section(found: Predictions, *, simulated: bool) -> Section:
    """What each GPU family's constants came to, and a row a figure. Without predictions, why there are none."""
    if not found.figures:
        return (
            Section("Forecast", (f"No forecast: {found.reason}.",)) if found.reason else Section("Forecast")
        )
    heads = ("Cell", "Load", "Figure", "Measured", "Predicted", "Error", "Calibrated", "Error", "Level")
    each = Table(
        "Predicted by the shipped constants and by those fitted here, beside measured",
        heads,
        tuple(_row(one) for one in found.figures),
        folded=True,
    )
    texts = (*([CIRCULAR] if simulated else []), NOT_TTFT)
    return Section("Forecast", texts, tables=(_families(found.calibrations), each))


def _families(calibrations: Calibrations) -> Table:
    """A row a GPU family and engine version: how far off before and after, and what interval that bears out."""
    fitted = tuple(
        (
            TableCell(f"{one.family}, vLLM {one.engine_version}"),
            TableCell(_listed(one.fitted_on)),
            TableCell(str(one.rows), number=True),
            TableCell(f"{one.error_before:.1%} → {one.error_after:.1%}", number=True),
            TableCell(str(one.held_out), number=True),
            TableCell(_held_out(one), number=True),
            TableCell(f"±{one.interval:.0%}", number=True),
        )
        for one in calibrations.found
    )
    refused = tuple(
        (
            TableCell(f"{one.family}, vLLM {one.engine_version}"),
            TableCell(f"not calibrated: {one.reason}"),
            *(TableCell("", number=True) for _ in range(4)),
            TableCell(f"±{INTERVAL_DEFAULT:.0%}", number=True),
        )
        for one in calibrations.refused
    )
    heads = ("GPU and engine", "Fitted on", "Figures", "Off by", "Held out", "Off by", "Interval")
    caption = "Mean error with the shipped constants → with those fitted here"
    return Table(caption, heads, (*fitted, *refused))


def _held_out(one: Calibration) -> str:
    """How far off on levels that were not fitted on; a dash without one."""
    if one.held_out_error is None:
        return "–"
    return f"{one.held_out_error_before:.1%} → {one.held_out_error:.1%}"


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _row(one: Prediction) -> tuple[TableCell, ...]:
    head, factor, decimals = FIGURES[one.metric]

    def number(value: float | None) -> TableCell:
        return TableCell("–" if value is None else f"{value * factor:,.{decimals}f}", number=True)

    def error(value: float | None) -> TableCell:
        return TableCell("–" if value is None else f"{value / one.measured - 1:+.1%}", number=True)

    return (
        TableCell(one.label),
        TableCell(one.load),
        TableCell(head),
        number(one.measured),
        number(one.shipped),
        error(one.shipped),
        number(one.calibrated),
        error(one.calibrated),
        TableCell(one.part),
    )
