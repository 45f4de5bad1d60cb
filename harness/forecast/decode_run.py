"""How many decode steps fit before an instant, and how long they take, in closed form. Pure.

Every step reads one token more per sequence than the one before, so its time rises along a straight line; behind a
slower host that an asynchronous scheduler hides, steps are level until the line has reached the host's time.
"""

from __future__ import annotations

import math


def decode_run(
    first: float, slope: float, fixed: float, limit: int, horizon_s: float, *, least: float = 0.0
) -> tuple[int, float]:
    """Steps until ``horizon_s`` is reached or ``limit`` of them are done, and their seconds.

    Step i (from 0) takes ``max(first + slope * i, least) + fixed`` seconds. The one in which the horizon falls is
    included.
    """
    level = 0
    if first < least:
        level = min(limit, math.ceil((least - first) / slope))
        first += slope * level
    seconds = _seconds(limit, level, first, slope, least, fixed)
    if seconds < horizon_s:
        return limit, seconds
    steps = min(limit, max(1, _estimate(level, first, slope, least, fixed, horizon_s)))
    seconds = _seconds(steps, level, first, slope, least, fixed)
    # Rounding may have the estimate miss by a step.
    while seconds < horizon_s and steps < limit:
        steps += 1
        seconds = _seconds(steps, level, first, slope, least, fixed)
    while steps > 1:
        shorter = _seconds(steps - 1, level, first, slope, least, fixed)
        if shorter < horizon_s:
            break
        steps, seconds = steps - 1, shorter
    return steps, seconds


def _seconds(steps: int, level: int, first: float, slope: float, least: float, fixed: float) -> float:
    """Seconds of ``level`` steps of the ``least`` time, then of steps that rise from ``first``."""
    if steps <= level:
        return steps * least + steps * fixed
    rising = steps - level
    return level * least + (rising * first + slope * rising * (rising - 1) / 2) + steps * fixed


def _estimate(level: int, first: float, slope: float, least: float, fixed: float, horizon_s: float) -> int:
    """About how many steps it takes to the horizon."""
    level_s = level * (least + fixed)
    if horizon_s <= level_s:
        return math.ceil(horizon_s / (least + fixed))
    # Root of the quadratic in the number of rising steps.
    linear = first + fixed - slope / 2
    return level + math.ceil(
        (math.sqrt(linear * linear + 2 * slope * (horizon_s - level_s)) - linear) / slope
    )
