"""Distributions of token counts, for prompts and answers. Pure: a generator goes in, integers come out.

As text: ``128`` · ``100-200`` (uniform, ends included) · ``normal:128,32`` (mean, sd) · ``lognormal:128,0.5`` (median,
sigma of the logarithm) · ``lognormal:128,0.5,16-4096`` (held within limits) · ``64|128|512`` (each as likely as it is
often listed) · ``64:3|512:1`` (with weights).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.units import exact

LARGEST = 10_000_000


@dataclass(frozen=True, slots=True)
class FixedLength:
    """Always ``tokens``."""

    tokens: int


@dataclass(frozen=True, slots=True)
class UniformLength:
    """Any count from ``low`` to ``high``, both included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NormalLength:
    """Normal with ``mean`` and ``sd``, rounded and held within ``low`` and ``high``."""

    mean: float
    sd: float
    low: int = 1
    high: int = LARGEST


@dataclass(frozen=True, slots=True)
class LogNormalLength:
    """Log-normal with ``median`` and ``sigma`` of the logarithm, rounded and held within ``low`` and ``high``."""

    median: float
    sigma: float
    low: int = 1
    high: int = LARGEST


@dataclass(frozen=True, slots=True)
class EmpiricalLength:
    """Drawn from observed ``values``, each as likely as the others or in proportion to its weight."""

    values: tuple[int, ...]
    weights: tuple[float, ...] = ()

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """The probability of each value."""
        weights = np.asarray(self.weights or (1.0,) * len(self.values), np.float64)
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares


Lengths = FixedLength | UniformLength | NormalLength | LogNormalLength | EmpiricalLength

KINDS: Mapping[str, type[Any]] = {
    "fixed": FixedLength,
    "uniform": UniformLength,
    "normal": NormalLength,
    "lognormal": LogNormalLength,
    "empirical": EmpiricalLength,
}


def sample(lengths: Lengths, *, rng: np.random.Generator, count: int = 1) -> npt.NDArray[np.int64]:
    """``count`` token counts, each 1 or more."""
    if isinstance(lengths, FixedLength):
        return np.full(count, lengths.tokens, np.int64)
    if isinstance(lengths, UniformLength):
        return rng.integers(lengths.low, lengths.high, size=count, endpoint=True)
    if isinstance(lengths, EmpiricalLength):
        values = np.asarray(lengths.values, np.int64)
        return rng.choice(values, count, p=lengths.shares if lengths.weights else None)
    if isinstance(lengths, NormalLength):
        drawn = rng.normal(lengths.mean, lengths.sd, count)
    else:
        drawn = lengths.median * np.exp(rng.normal(0.0, lengths.sigma, count))
    return np.clip(np.rint(drawn), lengths.low, lengths.high).astype(np.int64)


def mean_length(lengths: Lengths) -> float:
    """The mean token count, before rounding and limits."""
    if isinstance(lengths, FixedLength):
        return float(lengths.tokens)
    if isinstance(lengths, UniformLength):
        return (lengths.low + lengths.high) / 2
    if isinstance(lengths, EmpiricalLength):
        return float(np.dot(lengths.values, lengths.shares))
    if isinstance(lengths, NormalLength):
        return lengths.mean
    return float(lengths.median * np.exp(lengths.sigma**2 / 2))


def log_sigma(lengths: Lengths) -> float:
    """The sigma of the logarithm of a log-normal as wide as this distribution; 0 when it has one length."""
    if isinstance(lengths, LogNormalLength):
        return lengths.sigma
    if isinstance(lengths, NormalLength):
        spread = lengths.sd
    elif isinstance(lengths, UniformLength):
        spread = (lengths.high - lengths.low) / math.sqrt(12)
    elif isinstance(lengths, EmpiricalLength):
        spread = float(np.std(lengths.values))
    else:
        return 0.0
    return math.sqrt(math.log1p((spread / mean_length(lengths)) ** 2))


def least_length(lengths: Lengths) -> int:
    """The smallest count that can be drawn."""
    if isinstance(lengths, FixedLength):
        return lengths.tokens
    if isinstance(lengths, EmpiricalLength):
        return min(v for v, share in zip(lengths.values, lengths.shares, strict=True) if share > 0)
    return lengths.low


def parse_lengths(text: str) -> Lengths:
    """The distribution written as text; UsageError when it is none of the forms above."""
    text = text.strip()
    number = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"
    try:
        if text.isdigit():
            return checked(FixedLength(int(text)))
        if span := re.fullmatch(r"(\d+)-(\d+)", text):
            return checked(UniformLength(int(span[1]), int(span[2])))
        if shaped := re.fullmatch(rf"(normal|lognormal):{number},{number}(?:,(\d+)-(\d+))?", text):
            limits = (int(shaped[4]), int(shaped[5])) if shaped[4] else ()
            return checked(KINDS[shaped[1]](float(shaped[2]), float(shaped[3]), *limits))
        if "|" in text or ":" in text:
            return checked(_empirical([part.split(":") for part in text.split("|")]))
    except ValueError:
        pass
    raise UsageError(
        f"not a number of tokens: {text!r}; try 128, 100-200, normal:128,32, lognormal:128,0.5 or 64:3|512:1"
    )


def _empirical(parts: list[list[str]]) -> EmpiricalLength:
    """Values, or values with weights; ValueError for a mixture and for what are no numbers."""
    values = tuple(int(part[0]) for part in parts)
    if all(len(part) == 1 for part in parts):
        return EmpiricalLength(values)
    weights = tuple(float(weight) for _, weight in parts)
    return EmpiricalLength(values, weights)


def text_of(lengths: Lengths) -> str:
    """The text that ``parse_lengths`` reads as ``lengths``; a single value without a weight it reads as a fixed one."""
    if isinstance(lengths, FixedLength):
        return str(lengths.tokens)
    if isinstance(lengths, UniformLength):
        return f"{lengths.low}-{lengths.high}"
    if isinstance(lengths, EmpiricalLength):
        weights = [f":{exact(weight)}" for weight in lengths.weights] or [""] * len(lengths.values)
        return "|".join(f"{value}{weight}" for value, weight in zip(lengths.values, weights, strict=True))
    limits = f",{lengths.low}-{lengths.high}" if (lengths.low, lengths.high) != (1, LARGEST) else ""
    if isinstance(lengths, NormalLength):
        return f"normal:{exact(lengths.mean)},{exact(lengths.sd)}{limits}"
    return f"lognormal:{exact(lengths.median)},{exact(lengths.sigma)}{limits}"


def checked(lengths: Lengths) -> Lengths:
    """``lengths`` itself; UsageError when it could draw a count below 1 or cannot be drawn from."""
    if isinstance(lengths, FixedLength):
        good = 1 <= lengths.tokens <= LARGEST
    elif isinstance(lengths, UniformLength):
        good = 1 <= lengths.low <= lengths.high <= LARGEST
    elif isinstance(lengths, EmpiricalLength):
        good = bool(lengths.values) and all(1 <= value <= LARGEST for value in lengths.values)
        good = good and len(lengths.weights) in (0, len(lengths.values))
        good = good and all(0 <= weight < float("inf") for weight in lengths.weights)
        good = good and (not lengths.weights or any(lengths.weights))
    elif isinstance(lengths, NormalLength):
        good = lengths.mean > 0 and lengths.sd >= 0 and 1 <= lengths.low <= lengths.high
    else:
        good = lengths.median > 0 and lengths.sigma >= 0 and 1 <= lengths.low <= lengths.high
    if not good:
        raise UsageError(f"these token counts cannot be used: {lengths_to_json(lengths)}")
    return lengths


def lengths_to_json(lengths: Lengths) -> dict[str, Any]:
    """Plain JSON values; ``lengths_from_json`` reads them back."""
    kind = next(name for name, kind in KINDS.items() if kind is type(lengths))
    return {"kind": kind, **asdict(lengths)}


def lengths_from_json(data: object) -> Lengths:
    """A distribution from its JSON form, an integer or the text form; UsageError when it is none."""
    if isinstance(data, int) and not isinstance(data, bool):
        return checked(FixedLength(data))
    if isinstance(data, str):
        return parse_lengths(data)
    if not isinstance(data, Mapping) or data.get("kind") not in KINDS:
        raise UsageError(f"not a number of tokens: {data!r}")
    figures = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in data.items()
        if key != "kind"
    }
    try:
        return checked(KINDS[data["kind"]](**figures))
    except TypeError as error:
        raise UsageError(f"not a distribution of token counts: {error}") from error
