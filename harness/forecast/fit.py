"""Fit the four constants to measurements. Pure.

Minimises the mean squared logarithm of predicted over measured, plus what a departure from the kernels' own
measurements costs, by the simplex method of Nelder and Mead on the logarithms of the constants. The kernel figures
(large matrix products, weight streaming, all-reduces on five GPUs) come from published tables; without them a few
end-to-end rows would trade one constant for another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.forecast.published import Comparison, Measurement, compare
from harness.forecast.step import Constants

# No calibration leaves these: a share of the peak above 1 is a wrong peak, or a wrong measurement.
LOWEST = (0.2, 0.3, 0.2e-3, 0.05)
HIGHEST = (1.0, 1.0, 20e-3, 4.0)
# Centre and relative spread of what kernels alone reach, in the order of the constants.
Prior = tuple[tuple[float, float], ...]
KERNELS: Prior = ((0.74, 0.08), (0.79, 0.08), (2.5e-3, 0.5), (1.0, 0.25))
ROW_SPREAD = 0.10
_FAILED = 10.0


def fit(
    found: Sequence[Measurement],
    *,
    start: Constants | None = None,
    prior: Prior = KERNELS,
    evaluations: int = 150,
) -> Constants:
    """Constants that suit ``found`` best, from ``start`` on. What they cannot tell apart stays near the ``prior``."""

    def errors(candidate: Constants) -> list[float]:
        return log_errors(list(compare(list(found), candidate)))

    return fit_to(errors, start=start or Constants(), prior=prior, evaluations=evaluations)


def fit_to(
    errors_with: Callable[[Constants], Sequence[float]], *, start: Constants, prior: Prior, evaluations: int
) -> Constants:
    """Constants that make the logarithmic errors least, and what their distance from the ``prior`` costs."""
    point = [math.log(value) for value in as_tuple(start)]

    def cost(candidate: Sequence[float]) -> float:
        errors = errors_with(from_logarithms(candidate))
        return sum((error / ROW_SPREAD) ** 2 for error in errors) + _departure(candidate, prior)

    return from_logarithms(minimise(cost, point, evaluations=evaluations))


def as_tuple(constants: Constants) -> tuple[float, float, float, float]:
    """The four numbers in order."""
    return constants.compute_share, constants.memory_share, constants.host_s, constants.link_share


def from_logarithms(point: Sequence[float]) -> Constants:
    """Constants from their logarithms, kept within what is possible."""
    bounded = [
        min(high, max(low, math.exp(value))) for value, low, high in zip(point, LOWEST, HIGHEST, strict=True)
    ]
    return Constants(*bounded)


def log_errors(comparisons: Sequence[Comparison]) -> list[float]:
    """Logarithm of predicted over measured, row by row; a cell that cannot start counts as far off."""
    return log_errors_of([(one.predicted, one.measurement.value) for one in comparisons])


def log_errors_of(pairs: Sequence[tuple[float | None, float]]) -> list[float]:
    """The same of pairs of predicted and measured."""
    return [math.log(predicted / measured) if predicted else _FAILED for predicted, measured in pairs]


def _departure(point: Sequence[float], prior: Prior) -> float:
    return sum(
        ((value - math.log(centre)) / spread) ** 2
        for value, (centre, spread) in zip(point, prior, strict=True)
    )


def minimise(
    cost: Callable[[Sequence[float]], float], start: Sequence[float], *, evaluations: int, step: float = 0.15
) -> list[float]:
    """The best point a simplex finds within that many evaluations."""
    simplex = [(cost(start), list(start))]
    for axis in range(len(start)):
        corner = list(start)
        corner[axis] += step
        simplex.append((cost(corner), corner))
    used = len(simplex)
    while used < evaluations:
        simplex.sort(key=lambda corner: corner[0])
        worst_cost, worst = simplex[-1]
        centre = [
            sum(values) / (len(simplex) - 1) for values in zip(*(p for _, p in simplex[:-1]), strict=True)
        ]

        def towards(factor: float, origin: list[float] = centre, away: list[float] = worst) -> list[float]:
            return [o + factor * (o - w) for o, w in zip(origin, away, strict=True)]

        reflected = towards(1.0)
        found = cost(reflected)
        used += 1
        if found < simplex[0][0]:
            expanded = towards(2.0)
            further = cost(expanded)
            used += 1
            simplex[-1] = (further, expanded) if further < found else (found, reflected)
        elif found < simplex[-2][0]:
            simplex[-1] = (found, reflected)
        else:
            contracted = towards(0.5 if found < worst_cost else -0.5)
            nearer = cost(contracted)
            used += 1
            if nearer < min(found, worst_cost):
                simplex[-1] = (nearer, contracted)
            else:
                simplex = _shrink(simplex, cost)
                used += len(simplex) - 1
    return min(simplex, key=lambda corner: corner[0])[1]


def _shrink(
    simplex: list[tuple[float, list[float]]], cost: Callable[[Sequence[float]], float]
) -> list[tuple[float, list[float]]]:
    """All corners half-way to the best one."""
    best = simplex[0][1]
    shrunk = [simplex[0]]
    for _, corner in simplex[1:]:
        moved = [(a + b) / 2 for a, b in zip(best, corner, strict=True)]
        shrunk.append((cost(moved), moved))
    return shrunk
