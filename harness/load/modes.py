"""Does a stage look like two servers? A replica that fails, or one that runs slow, behind one address. Pure.

What counts must go on all through the window: what begins or ends within it is drift, or a disturbance.
"""

from __future__ import annotations

import numpy as np

from harness.load.columns import Columns, Floats
from harness.load.figures import Mask, RequestFigures
from harness.load.records import Outcome

FEWEST = 10
LEAST_SHARE = 0.1
PARTS = 4
# A share within a part may be so many times smaller than in the whole.
UNEVEN = 3.0
FEWEST_GAPS = 4
LEAST_RATIO = 1.4
# Distance of two means over the sum of their spreads: 1.3 for one normal cut in half, 1.7 for a uniform one.
LEAST_SEPARATION = 2.5
EXPLAINED = 0.5
# Classes by which a broken replica shows; a refusal for load or a bad request is everybody's.
REPLICA_FAILURES = (Outcome.HTTP_5XX, Outcome.CONNECT, Outcome.TRUNCATED, Outcome.ERROR_EVENT)


def modes(columns: Columns, figures: RequestFigures) -> tuple[str, ...]:
    """What looks like two servers, in words; empty when one will explain it."""
    return tuple(filter(None, (_failing_share(columns, figures), _two_speeds(columns, figures))))


def _failing_share(columns: Columns, figures: RequestFigures) -> str | None:
    """Failures and successes side by side in every part of the window."""
    failing = np.isin(columns.outcomes, [str(kind) for kind in REPLICA_FAILURES]) & figures.measured
    ended = failing | figures.good
    if not _mixed(columns.floats["scheduled_s"], failing, among=ended):
        return None
    share = float(failing[ended].mean())
    names, counts = np.unique(columns.outcomes[failing], return_counts=True)
    return (
        f"bimodal: about 1 in {1 / share:.2g} requests fails all through the window "
        f"({names[counts.argmax()]}): a replica may be broken"
    )


def _two_speeds(columns: Columns, figures: RequestFigures) -> str | None:
    """Two separated modes of the requests' token gaps, not explained by how long prompts or answers are."""
    pace = _median_gaps(figures)
    known = figures.good & ~np.isnan(pace)
    values = np.log(pace[known])
    slow_known = _split(values)
    if slow_known is None:
        return None
    slow = np.zeros(len(pace), np.bool_)
    slow[known] = slow_known
    if not _mixed(columns.floats["sent_s"], slow, among=known):
        return None
    for name in ("prompt_tokens", "completion_tokens"):
        lengths = columns.integers[name][known]
        if np.ptp(lengths) and abs(np.corrcoef(lengths, slow_known)[0, 1]) > EXPLAINED:
            return None
    fast_ms, slow_ms = (float(np.median(pace[mask])) * 1000 for mask in (known & ~slow, slow))
    return (
        f"bimodal: {slow_known.mean():.0%} of the requests run at {slow_ms:.1f} ms a token, the others at "
        f"{fast_ms:.1f} ms: a replica may be slow"
    )


def _median_gaps(figures: RequestFigures) -> Floats:
    """The median gap of each request, which single stalls do not move; NaN where it has few gaps."""
    counts = np.bincount(figures.gap_owner, minlength=len(figures.ttft))
    starts = np.cumsum(counts) - counts
    found = np.full(len(counts), np.nan)
    order = np.argsort(counts, kind="stable")
    # Requests with equally many gaps are rows of one table: no sorting of millions of gaps at once.
    for rows in np.split(order, np.flatnonzero(np.diff(counts[order])) + 1):
        count = int(counts[rows[0]]) if len(rows) else 0
        if count >= FEWEST_GAPS:
            gaps = figures.gaps[starts[rows, None] + np.arange(count)]
            found[rows] = np.partition(gaps, count // 2, axis=1)[:, count // 2]
    found[~(found > 0)] = np.nan
    return found


def _split(values: Floats) -> Mask | None:
    """True for the values of the upper of two well separated groups; None when there is one group."""
    count = len(values)
    if count < 2 * FEWEST:
        return None
    ordered = np.sort(values)
    sizes = np.arange(1, count)
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    low_mean, high_mean = sums[:-1] / sizes, (sums[-1] - sums[:-1]) / (count - sizes)
    low_var = squares[:-1] / sizes - low_mean**2
    high_var = (squares[-1] - squares[:-1]) / (count - sizes) - high_mean**2
    within = sizes * low_var + (count - sizes) * high_var
    least = max(FEWEST, round(LEAST_SHARE * count))
    at = least - 1 + int(np.argmin(within[least - 1 : count - least]))
    distance = high_mean[at] - low_mean[at]
    spread = np.sqrt(max(low_var[at], 0.0)) + np.sqrt(max(high_var[at], 0.0))
    if distance < np.log(LEAST_RATIO) or distance < LEAST_SEPARATION * spread:
        return None
    return np.asarray(values > ordered[at], dtype=np.bool_)


def _mixed(times_s: Floats, some: Mask, *, among: Mask) -> bool:
    """True when ``some`` and the rest of ``among`` are both many, and go on side by side in every part of it."""
    count, total = int(some.sum()), int(among.sum())
    if min(count, total - count) < max(FEWEST, LEAST_SHARE * total):
        return False
    share = count / total
    in_order = some[among][np.argsort(times_s[among], kind="stable")]
    return all(
        share / UNEVEN <= part.mean() <= 1 - (1 - share) / UNEVEN for part in np.array_split(in_order, PARTS)
    )
