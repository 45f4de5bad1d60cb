"""How far another host's clocks are from ours, from round trips, as NTP does it. Pure.

A host's answer was given somewhere between the question and its arrival: the middle is taken, and half the trip is how
far off that can be. The shortest trip bounds it best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.load.response import NS_PER_S


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks of one host at one time, in nanoseconds."""

    monotonic_ns: int
    unix_ns: int


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Our clocks when the question went, our monotonic clock when the answer was here, and the answer."""

    asked: Reading
    answered_ns: int
    theirs: Reading


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Their clocks less ours. The monotonic ones differ by as much as the hosts' ages; the wall clocks should not."""

    monotonic_ns: int
    unix_s: float
    uncertainty_s: float


def clock_offset(trips: Sequence[RoundTrip]) -> ClockOffset:
    """From the shortest of the trips; there must be one."""
    best = min(trips, key=lambda trip: trip.answered_ns - trip.asked.monotonic_ns)
    half_ns = (best.answered_ns - best.asked.monotonic_ns) // 2
    return ClockOffset(
        monotonic_ns=best.theirs.monotonic_ns - (best.asked.monotonic_ns + half_ns),
        unix_s=(best.theirs.unix_ns - (best.asked.unix_ns + half_ns)) / NS_PER_S,
        uncertainty_s=half_ns / NS_PER_S,
    )
