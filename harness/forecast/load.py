"""The load a forecast is made for: when requests come and how long they are. Pure, given a generator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Arrivals(StrEnum):
    """How requests come: so many at a time, at random or even intervals, or all at once."""

    CLOSED = "closed"
    POISSON = "poisson"
    CONSTANT = "constant"
    BURST = "burst"


@dataclass(frozen=True, slots=True)
class Load:
    """One load level on a deployment.

    ``level`` is the concurrency of a closed loop or requests per second; a burst ignores it. Lengths are tokens:
    log-normal with the given mean and sigma of the logarithm, or, with sigma 0, spread evenly over ``spread`` of
    the mean either way. ``shared_prefix_tokens`` of every prompt are alike. ``requests`` None chooses enough for
    stable percentiles.
    """

    arrivals: Arrivals
    level: float
    input_tokens: float
    output_tokens: float
    requests: int | None = None
    input_sigma: float = 0.0
    output_sigma: float = 0.0
    input_spread: float = 0.0
    output_spread: float = 0.0
    output_cap: int | None = None
    shared_prefix_tokens: int = 0

    def count(self, engines: int) -> int:
        """Requests to simulate on one of that many engines: as given, or ten rounds of a closed loop, else 600."""
        if self.requests is not None:
            return max(1, round(self.requests / engines))
        if self.arrivals is Arrivals.CLOSED:
            return max(60, 10 * self.slots(engines))
        return 600

    def slots(self, engines: int) -> int:
        """Concurrent requests of a closed loop that one of that many engines sees."""
        return max(1, round(self.level / engines))

    def lengths(
        self, count: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Prompt and output lengths of ``count`` requests, at least 1 each."""
        prompts = _draw(self.input_tokens, self.input_sigma, self.input_spread, count=count, rng=rng)
        outputs = _draw(self.output_tokens, self.output_sigma, self.output_spread, count=count, rng=rng)
        if self.output_cap is not None:
            outputs = np.minimum(outputs, self.output_cap)
        return prompts, outputs

    def arrival_times(self, count: int, engines: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Seconds at which requests come to one engine; a closed loop gives only its first ones, at 0."""
        if self.arrivals is Arrivals.BURST:
            return np.zeros(count)
        if self.arrivals is Arrivals.CLOSED:
            return np.zeros(min(count, self.slots(engines)))
        rate = self.level / engines
        if self.arrivals is Arrivals.CONSTANT:
            return np.arange(count) / rate
        return np.cumsum(rng.exponential(1 / rate, count))


def _draw(
    mean: float, sigma: float, spread: float, *, count: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Whole numbers of tokens, at least 1; ``mean`` is that of the log-normal itself, not of its logarithm."""
    if sigma > 0:
        drawn = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    elif spread > 0:
        drawn = rng.uniform(mean * (1 - spread), mean * (1 + spread), count)
    else:
        drawn = np.full(count, mean)
    return np.maximum(1, np.rint(drawn)).astype(np.int64)
