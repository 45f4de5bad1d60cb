"""Service-level objectives as text and back, and which requests meet them. Pure.

``ttft_p95<=1s,tpot_p95<=60ms,error_rate<=1%``: bounds on percentiles over requests, all to be met. Without a percentile
a bound means p99. Presets carry the limits of MLPerf inference (p99 of TTFT and TPOT).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.units import parse_duration

METRICS = ("ttft", "tpot", "itl", "e2e", "stall")
USUAL_PERCENTILE = 99.0
MOST_DIGITS = 3  # of a millisecond

# model: (TTFT, TPOT) in ms, server scenario; then the interactive one where MLPerf has it.
MLPERF: Mapping[str, tuple[int, int]] = {
    "llama-3.1-8b": (2000, 100),
    "llama-3.1-8b-interactive": (500, 30),
    "llama-2-70b": (2000, 200),
    "llama-2-70b-interactive": (450, 40),
    "llama-3.1-405b": (6000, 175),
    "llama-3.1-405b-interactive": (4500, 80),
    "mixtral-8x7b": (2000, 200),
    "deepseek-r1": (2000, 80),
    "deepseek-r1-interactive": (1500, 15),
    "gpt-oss-120b": (3000, 80),
    "gpt-oss-120b-interactive": (2000, 20),
}
PRESETS: Mapping[str, str] = {
    f"mlperf-{model}": f"ttft_p99<={ttft}ms,tpot_p99<={tpot}ms" for model, (ttft, tpot) in MLPERF.items()
}

EXAMPLE = "try 'ttft_p95<=1s,tpot_p95<=60ms' or mlperf-llama-3.1-8b"

_BOUND = re.compile(r"(?P<metric>[a-z0-9]+?)(?:_p(?P<percentile>\d+(?:\.\d+)?))?\s*<=?\s*(?P<limit>\S+)")
_ERRORS = re.compile(r"error_rate\s*<=?\s*(?P<share>\d+(?:\.\d+)?)(?P<unit>%?)")


@dataclass(frozen=True, slots=True)
class Bound:
    """``metric``'s ``percentile`` is at most ``limit_s`` seconds."""

    metric: str
    percentile: float
    limit_s: float

    def __str__(self) -> str:
        limit = f"{self.limit_s:g}s" if self.limit_s >= 1 else f"{self.limit_s * 1000:g}ms"
        return f"{self.metric}_p{self.percentile:g}<={limit}"

    def reached(self, value_s: float) -> str:
        """What was reached, in digits that tell it from the limit: ``tpot_p95 39.8 ms``."""
        return f"{self.metric}_p{self.percentile:g} {_ms_beside(value_s, self.limit_s)} ms"

    def missed(self, value_s: float) -> str:
        """What was reached and by which it is above the limit: ``tpot_p95 40.2 ms > 40 ms``."""
        return f"{self.reached(value_s)} > {_plain(self.limit_s * 1000, MOST_DIGITS)} ms"


def _ms_beside(value_s: float, limit_s: float) -> str:
    """Milliseconds in whole numbers, or in as many digits as it takes to be on the limit's one side."""
    value, limit = value_s * 1000, limit_s * 1000
    for digits in range(MOST_DIGITS + 1):
        text = f"{value:.{digits}f}"
        if (float(text) > limit) == (value > limit) and (float(text) < limit) == (value < limit):
            return text
    return f"{'just above' if value > limit else 'just under'} {_plain(limit, MOST_DIGITS)}"


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds on latency percentiles and, if wanted, on the share of failed requests."""

    bounds: tuple[Bound, ...]
    error_rate: float | None = None

    @staticmethod
    def parse(text: str) -> Slo:
        """The objective written as text, or a preset's name; UsageError when it is neither."""
        text = PRESETS.get(text.strip(), text)
        bounds: list[Bound] = []
        error_rate: float | None = None
        for part in filter(None, (part.strip() for part in text.split(","))):
            if share := _ERRORS.fullmatch(part):
                error_rate = float(share["share"]) / (100 if share["unit"] else 1)
            else:
                bounds.append(_bound(part))
        if not bounds and error_rate is None:
            raise UsageError(f"not an SLO: {text!r}; {EXAMPLE}")
        return Slo(tuple(bounds), error_rate)

    def __str__(self) -> str:
        parts = [str(bound) for bound in self.bounds]
        if self.error_rate is not None:
            parts.append(f"error_rate<={self.error_rate * 100:g}%")
        return ",".join(parts)


def _bound(part: str) -> Bound:
    found = _BOUND.fullmatch(part)
    if found is None or found["metric"] not in METRICS:
        raise UsageError(
            f"not a bound of an SLO: {part!r}; metrics: {', '.join(METRICS)}, error_rate; "
            f"{'presets: ' + ', '.join(PRESETS) if part.startswith('mlperf') else EXAMPLE}"
        )
    percentile = float(found["percentile"] or USUAL_PERCENTILE)
    if not 0 < percentile < 100:
        raise UsageError(f"a percentile lies between 0 and 100: {part!r}")
    try:
        limit_s = parse_duration(found["limit"])
    except ValueError as error:
        raise UsageError(f"{error} in {part!r}") from error
    if found["limit"].replace(".", "").isdigit():
        raise UsageError(f"a limit needs its unit: {part!r}; try {part}ms or {part}s")
    return Bound(found["metric"], percentile, limit_s)
