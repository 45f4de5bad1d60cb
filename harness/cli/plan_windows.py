"""Load levels that end before a single request can, by the forecast: ``harness plan`` warns of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.units import counted, format_duration

if TYPE_CHECKING:
    from harness.forecast.level import LevelForecast
    from harness.plan.cells import Cell
    from harness.plan.config import LengthConfig, LoadLevel, SweepConfig
    from harness.sweep.forecasts import CellForecast

CODE = "window-too-short"
# Standard deviations below the mean of a length without bounds; one request in 40 is shorter.
SHORT = 2.0


def short_windows(
    config: SweepConfig, cells: Iterable[Cell], forecasts: Mapping[str, CellForecast]
) -> list[dict[str, Any]]:
    """A warning for each level of a given duration in which, by the forecast of some cell, no request would end.

    A request may begin in the warm-up and must end in the window. It counts at its shortest answer and at the better
    end of the forecast's interval.
    """
    known = [made for cell in cells if (made := forecasts[cell.id].forecast) is not None and made.levels]
    tokens = shortest(config.workload.output_tokens)
    found: list[dict[str, Any]] = []
    for number, (level, span_s) in enumerate(timed(config)):
        if span_s is None:
            continue
        times_s = [request_s(each.levels[number], tokens) for each in known]
        late = [
            time_s
            for time_s, each in zip(times_s, known, strict=True)
            if time_s * (1 - each.interval) > span_s
        ]
        if late:
            found.append(warning(config, level, span_s, late, of=len(known)))
    return found


def timed(config: SweepConfig) -> Iterable[tuple[LoadLevel, float | None]]:
    """The levels that are forecast, in the forecast's order, each with its warm-up and window in seconds.

    None for a level that lasts as long as its requests.
    """
    from harness.plan.config import LoadLevel
    from harness.sweep.forecasts import load_of
    from harness.sweep.loads import stage

    for level in config.load:
        if not isinstance(level, LoadLevel) or load_of(level, config) is None:
            continue
        made = stage(level, timeout_s=config.timeouts.request_s)
        yield level, None if made.duration_s is None else made.warmup_s + made.duration_s


def shortest(length: LengthConfig) -> float:
    """Tokens of a short answer: the fewest of a length that has bounds, else some below the mean."""
    if length.distribution == "uniform":
        return float(length.minimum or 1)
    if length.distribution == "empirical":
        return float(min(length.values, default=1))
    spread = 0.0 if length.distribution == "fixed" else length.stddev or 0.0
    return max(float(length.minimum or 1), (length.mean or 1.0) - SHORT * spread)


def request_s(level: LevelForecast, tokens: float) -> float:
    """Seconds of one request with so many tokens of answer; 0 where the forecast has none that ended."""
    first_s, each_s = level.ttft_s.p50, level.tpot_s.p50
    return 0.0 if first_s is None else first_s + (tokens - 1) * (each_s or 0.0)


def warning(
    config: SweepConfig, level: LoadLevel, span_s: float, late_s: list[float], *, of: int
) -> dict[str, Any]:
    """The finding about one level: where it stands, what it takes, what would do."""
    load = (
        f"concurrency {level.concurrency}" if level.concurrency is not None else f"rate {level.rate_per_s:g}"
    )
    which = "every cell" if len(late_s) == of else f"{len(late_s)} of {counted(of, 'cell')}"
    location = None if level.place is None else str(config.source.location(*level.place))
    return {
        "code": CODE,
        "message": (
            f"{'' if location is None else f'{location}: '}{load} lasts {format_duration(span_s)} with its warm-up, "
            f"and on {which} a request takes about {format_duration(min(late_s))} by the forecast: none would "
            f"succeed; duration: {math.ceil(2 * max(late_s))}s would hold some"
        ),
        "location": location,
    }
