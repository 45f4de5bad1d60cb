"""The scales of a plot's axes: from values to places, and the ticks in between. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

ROOM = 0.05  # share of the axis that is left beyond the outermost value
MOST_TICKS = 6
WIDE = 40.0
FAR = 2.5  # times the largest value: a limit further out is not on the axis
LEAST_APART = 0.08  # share of the axis between two ticks at measured values


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: ``low`` is at 0 of its length, ``high`` at 1. ``ticks`` are values and what is written at them.

    On a logarithmic scale equal ratios are equally long; ``of_names`` is one without numbers. ``words`` name the axis.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    words: str = ""
    logarithmic: bool = False
    of_names: bool = False

    def place(self, value: float) -> float:
        """Where a value is, as a share of the axis."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def holds(self, value: float) -> bool:
        """True when the value is on the axis."""
        return min(self.low, self.high) <= value <= max(self.low, self.high)


def linear(values: Iterable[float], words: str = "", *, most_ticks: int = MOST_TICKS) -> Scale:
    """A scale with 0 in it, and all finite ``values``."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = ROOM * (high - low)
    low, high = low - (room if low < 0 else 0.0), high + (room if high > 0 else 0.0)
    high = high if high > low else 1.0
    step = nice_step((high - low) / most_ticks)
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Scale(low, high, tuple((n * step, tick_words(n * step, step=step)) for n in numbers), words)


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))


def tick_words(value: float, *, step: float) -> str:
    """The value with as many decimals as the step has: ``1,500``, ``0.25``."""
    decimals = 0
    while decimals < 9 and abs(round(step, decimals) - step) > 1e-9 * step:
        decimals += 1
    return f"{value + 0.0:,.{decimals}f}"


def doubling(values: Iterable[float], words: str = "") -> Scale:
    """A logarithmic scale with ticks at the values themselves, those left out that are too near the one before."""
    known = sorted(set(values))
    low, high = known[0], max(known[-1], known[0] * 2)
    room = (high / low) ** ROOM
    bare = Scale(low / room, high * room, (), words, logarithmic=True)
    ticks: list[float] = []
    for value in known:
        if not ticks or bare.place(value) - bare.place(ticks[-1]) >= LEAST_APART:
            ticks.append(value)
    return Scale(
        bare.low, bare.high, tuple((value, f"{value:g}") for value in ticks), words, logarithmic=True
    )


def latencies(values: Iterable[float], words: str = "", *, limit: float | None = None) -> Scale:
    """``linear``; logarithmic where the values reach over more than ``WIDE`` times the smallest. ``limit`` is on it
    where that leaves most of the axis to the values."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    if limit is not None and limit <= FAR * max(known, default=0.0):
        known.append(limit)
    if not known or max(known) <= WIDE * min(known):
        return linear(known, words)
    low, high = min(known) / 1.2, max(known) * 1.2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high <= 1000 * low else (1,)
    ticks = [factor * 10.0**power for power in powers for factor in steps]
    shown = tuple((tick, f"{tick:,g}") for tick in ticks if low <= tick <= high)
    return Scale(low, high, shown, f"{words}, logarithmic", logarithmic=True)


def named(names: Sequence[str], words: str = "", *, most_ticks: int | None = None) -> Scale:
    """A place for each name: 0, 1, 2, …; every n-th is written where there are more than ``most_ticks``."""
    every = 1 if most_ticks is None else -(-len(names) // most_ticks)
    ticks = tuple((float(place), name) for place, name in enumerate(names) if place % every == 0)
    return Scale(-0.5, len(names) - 0.5, ticks, words, of_names=True)


def rows(names: Sequence[str], words: str = "") -> Scale:
    """``named`` from the top down."""
    upright = named(names, words)
    return replace(upright, low=upright.high, high=upright.low)
