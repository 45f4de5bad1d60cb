"""Which points no other point beats on both axes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def pareto_front(gains: Sequence[float], costs: Sequence[float]) -> npt.NDArray[np.bool_]:
    """True for each point that no other beats: as much gain at less cost, or more gain at no more cost.

    ``gains`` is better when higher (throughput), ``costs`` when lower (latency, price). A point with NaN on either
    axis is never on the front; equal points are on it together.
    """
    gain, cost = np.asarray(gains, np.float64), np.asarray(costs, np.float64)
    front = np.zeros(len(gain), np.bool_)
    known = np.flatnonzero(np.isfinite(gain) & np.isfinite(cost))
    best = -np.inf
    last: tuple[float, float] | None = None
    for index in known[np.lexsort((-gain[known], cost[known]))]:
        here = (float(cost[index]), float(gain[index]))
        if gain[index] > best or here == last:
            front[index] = True
            best, last = float(gain[index]), here
    return front
