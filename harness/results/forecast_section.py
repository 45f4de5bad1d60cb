"""The report's section on the forecast: what was predicted beside what was measured, level by level. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.forecast.calibration import Calibration
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
    texts = [_fitted(one) for one in found.calibrations.found]
    texts += [
        f"{one.family}, vLLM {one.engine_version}: not calibrated; {one.reason}. Expect "
        f"{INTERVAL_DEFAULT:.0%} either way."
        for one in found.calibrations.refused
    ]
    heads = ("Cell", "Load", "Figure", "Measured", "Predicted", "Error", "Calibrated", "Error", "Level")
    table = Table(
        "Predicted by the shipped constants and by those fitted here, beside measured",
        heads,
        tuple(_row(one) for one in found.figures),
        folded=True,
    )
    return Section("Forecast", (*([CIRCULAR] if simulated else []), *texts, NOT_TTFT), tables=(table,))


def _fitted(one: Calibration) -> str:
    """One family: how far off before and after, and what interval that bears out."""
    held_out = "no other valid level to judge it on"
    if one.held_out_error is not None:
        held_out = (
            f"{one.held_out} figures of levels held out are off by {one.held_out_error_before:.1%} with the shipped "
            f"constants and by {one.held_out_error:.1%} with the fitted ones"
        )
    return (
        f"{one.family}, vLLM {one.engine_version}: fitted on {_listed(one.fitted_on)} ({one.rows} figures, off by "
        f"{one.error_before:.1%} before and {one.error_after:.1%} after); {held_out}. Interval: ±{one.interval:.0%}."
    )


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
