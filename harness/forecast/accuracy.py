"""How far the forecast is from published measurements: a table, by ``python -m harness.forecast.accuracy``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from harness.forecast.published import Comparison, compare, measurements

RANKED_DIFFERENCE = 0.15


def table(comparisons: Sequence[Comparison]) -> str:
    """Errors by group and GPU, the worst rows, and how often the faster of two is told right."""
    lines = ["predicted against published measurements (0 % is exact, positive is predicted too high)", ""]
    lines.append(f"{'group':<44}{'rows':>5}{'mean |error|':>14}{'median':>9}{'p90 |error|':>13}")
    for name, chosen in _groups(comparisons):
        errors = _errors(comparisons, chosen)
        if errors.size:
            lines.append(
                f"{name:<44}{errors.size:>5}{np.abs(errors).mean():>13.1%}{np.median(errors):>+9.1%}"
                f"{np.percentile(np.abs(errors), 90):>12.1%}"
            )
    right, pairs = ranking(comparisons, _is_held_out)
    lines += ["", f"faster of two told right: {right} of {pairs} held-out pairs that differ by 15 % or more"]
    lines.append("(pairs of one source, one metric; a pair is held out when both rows are)")
    lines += ["", "held-out rows that are off by more than 25 %:"]
    for found in sorted(comparisons, key=lambda found: -abs(found.error or 0)):
        if not found.measurement.is_fitted and found.error is not None and abs(found.error) > 0.25:
            lines.append(f"  {found.error:>+7.1%}  {found.measurement.id}  {found.measurement.metric}")
    return "\n".join(lines) + "\n"


def ranking(comparisons: Sequence[Comparison], chosen: Callable[[Comparison], bool]) -> tuple[int, int]:
    """Of the chosen pairs within a source and metric that differ enough: how many are ordered right, how many are."""
    right = pairs = 0
    for one, other in itertools.combinations([found for found in comparisons if chosen(found)], 2):
        a, b = one.measurement, other.measurement
        if (a.source, a.metric) != (b.source, b.metric) or one.predicted is None or other.predicted is None:
            continue
        if max(a.value, b.value) / min(a.value, b.value) < 1 + RANKED_DIFFERENCE:
            continue
        pairs += 1
        right += (a.value < b.value) == (one.predicted < other.predicted)
    return right, pairs


def _groups(comparisons: Sequence[Comparison]) -> list[tuple[str, Callable[[Comparison], bool]]]:
    groups: list[tuple[str, Callable[[Comparison], bool]]] = [
        ("fitted: TPOT and throughput", lambda found: found.measurement.is_fitted),
        ("held out: TPOT and throughput", _is_held_out),
        ("held out: TTFT", lambda found: found.measurement.is_ttft),
    ]
    for card in sorted({found.measurement.gpu for found in comparisons}):
        groups.append((f"  held-out speed on {card}", _on(card)))
    return groups


def _is_held_out(found: Comparison) -> bool:
    return not found.measurement.is_fitted and not found.measurement.is_ttft


def _on(card: str) -> Callable[[Comparison], bool]:
    return lambda found: _is_held_out(found) and found.measurement.gpu == card


def _errors(
    comparisons: Sequence[Comparison], chosen: Callable[[Comparison], bool]
) -> npt.NDArray[np.float64]:
    return np.array([found.error for found in comparisons if chosen(found) and found.error is not None])


def main() -> None:
    """Print the table."""
    sys.stdout.write(table(list(compare(measurements()))))


if __name__ == "__main__":
    main()
