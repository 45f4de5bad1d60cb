"""How long deployments take to start: a guess until some were seen, and how far either may be off. Pure.

The spread is that of published start-ups. A hundred starts of one 8B model on one host had a median of 56 s and ends
of 20 and 157 s: those are the ends of a hundred draws from a log-normal with sigma 0.41. The medians of five set-ups
(42, 56, 70, 89 and 121 s) vary by a sigma of 0.41 as well: so much may a guess be off for all starts together, until
this sweep's own starts stand in its place. Uncertain by both, nine in ten single starts take between 0.39 and 2.6
times what was guessed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.sweep.states import JournalEvent

SPREAD = 0.41
NINE_IN_TEN = 1.645


@dataclass(slots=True)
class Starts:
    """One kind of start. ``seen`` are the seconds that those of this sweep took."""

    guess_s: float
    seen: list[float] = field(default_factory=list)

    @property
    def likely_s(self) -> float:
        """The median of what was seen, or the guess."""
        return statistics.median(self.seen) if self.seen else self.guess_s

    @property
    def late_s(self) -> float:
        """Five in six starts are over by then."""
        return self.likely_s * math.exp(self._sigma(1))

    def factors(self, count: int) -> tuple[float, float]:
        """What the mean of ``count`` starts is between in nine cases of ten, as shares of the likely one."""
        reach = NINE_IN_TEN * self._sigma(max(1, count))
        return math.exp(-reach), math.exp(reach)

    def _sigma(self, count: int) -> float:
        """Of a mean of ``count``: what is wrong with the middle is common to all, the rest averages out."""
        return SPREAD * math.sqrt(1 / max(1, len(self.seen)) + 1 / count)


def seen_starts(events: Iterable[JournalEvent]) -> list[float]:
    """What the starts of fresh deployments took that a journal tells of, in the cloud's seconds."""
    fresh: set[str] = set()
    found = []
    for event in events:
        if event.run_id is None:
            continue
        if event.kind == "create-intended":
            fresh.add(event.run_id)
        elif event.kind == "adopted":
            fresh.discard(event.run_id)
        elif event.kind == "ready" and event.run_id in fresh and not event.data.get("resumed"):
            found.append(float(event.data["time_to_ready_s"]))
    return found
