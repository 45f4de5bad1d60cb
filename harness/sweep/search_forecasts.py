"""Where the forecast expects a sweep's searches to end, between two of the loads they may come to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.capacity.forecasted import miss
from harness.forecast.level import LevelForecast
from harness.load.search import NEAR_BEST
from harness.load.slo import Slo
from harness.plan.config import SearchLevel, SweepConfig
from harness.sweep.forecasts import CellForecast, load_of

UNITS = {"rate": "req/s", "knee": "users"}


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """A search is expected to find what lies between ``low`` and ``high``; None where no step bounds it there.

    A rate may be ``low`` itself, a knee ``high``. The steps double the load. ``level`` is the forecast at ``low``, or
    at the first step where that is too much.
    """

    find: str
    low: float | None
    high: float | None
    level: LevelForecast

    @property
    def text(self) -> str:
        """``rate 8 to 16 req/s``."""
        unit = UNITS[self.find]
        if self.low is None:
            return f"{self.find} {'below' if self.find == 'rate' else 'of at most'} {self.high:g} {unit}"
        if self.high is None:
            return f"{self.find} {self.low:g} {unit} or more"
        return f"{self.find} {self.low:g} to {self.high:g} {unit}"


def expected_answers(config: SweepConfig, found: CellForecast) -> list[ExpectedAnswer]:
    """One for each search, in order; ``found`` is the forecast at the loads of ``forecasts.searched``."""
    if found.forecast is None:
        return []
    slo = None if config.slo is None else Slo.parse(config.slo)
    levels, answers = list(found.forecast.levels), []
    for level in config.load:
        if isinstance(level, SearchLevel):
            steps, levels = levels[: level.most_steps], levels[level.most_steps :]
            answers.append(_answer(level.find, steps, slo))
        elif load_of(level, config) is not None:
            levels = levels[1:]
    return answers


def at_answers(found: CellForecast, answers: Sequence[ExpectedAnswer]) -> CellForecast:
    """The forecast where the searches are expected to end, in the place of all the loads they may come to."""
    if found.forecast is None:
        return found
    return replace(found, forecast=replace(found.forecast, levels=tuple(answer.level for answer in answers)))


def _answer(find: str, steps: Sequence[LevelForecast], slo: Slo | None) -> ExpectedAnswer:
    if find == "rate" and slo is not None:
        kept = [miss(step, slo) is None for step in steps]
        last = (kept.index(False) if False in kept else len(kept)) - 1
    else:
        reached = [step.output_throughput for step in steps]
        near = next(place for place, each in enumerate(reached) if each >= NEAR_BEST * max(reached))
        last = near - 1  # the fewest users are between this step and the one before it
    low = steps[last].load.level if last >= 0 else None
    high = steps[last + 1].load.level if last + 1 < len(steps) else None
    return ExpectedAnswer(find, low, high, steps[max(last, 0)])
