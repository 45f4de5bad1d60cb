"""Prompt tokens that came from the prefix cache although nothing of this stage can have put them there. Pure.

What prompts share on purpose may be found cached: the chat template's beginning, a shared prefix, numbered blocks, and
in a conversation all that was said before.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Integers
from harness.load.figures import Mask


def cached_share(columns: Columns, good: Mask) -> float | None:
    """Cached prompt tokens of all prompt tokens; None when the server does not report them."""
    return _share(columns, good, columns.integers["cached_tokens"])


def unexpected_share(
    columns: Columns, good: Mask, *, workload: Mapping[str, object], overhead_tokens: int
) -> float | None:
    """Cached prompt tokens beyond what the workload shares on purpose, of all; None when they are not known.

    ``workload`` is its description, ``overhead_tokens`` what the chat template puts before every prompt. With a cold
    cache nothing is shared, with a warm one anything may be.
    """
    cache = workload.get("cache")
    if cache == "warm" or workload.get("shared_blocks"):
        return None
    cached = columns.integers["cached_tokens"]
    allowed = np.zeros(len(columns), np.int64)
    if cache != "cold":
        prefixes = workload.get("shared_prefixes")
        shared = int(prefixes.get("tokens", 0)) if isinstance(prefixes, Mapping) else 0
        allowed = np.maximum(overhead_tokens + shared, said_before(columns))
    return _share(columns, good, np.where(cached == ABSENT, ABSENT, np.maximum(cached - allowed, 0)))


def template_tokens(probe: Mapping[str, object]) -> int:
    """What the chat template puts before every prompt, as a probe in its JSON form tells; 0 when it does not."""
    calibration = probe.get("calibration")
    overhead = calibration.get("overhead_tokens") if isinstance(calibration, Mapping) else None
    return overhead if isinstance(overhead, int) else 0


def said_before(columns: Columns) -> Integers:
    """Tokens of the conversation up to each request: the prompt and the answer of the turn before; 0 without one.

    Where the server did not count them, as many as the prompt has.
    """
    integers = columns.integers
    said = np.zeros(len(columns), np.int64)
    later = integers["turn"] > 1
    if not later.any():
        return said
    total = integers["prompt_tokens"] + integers["completion_tokens"]
    counted = (integers["prompt_tokens"] != ABSENT) & (integers["completion_tokens"] != ABSENT)
    place = _places(columns)
    for i in np.flatnonzero(later):
        before = place.get((bool(columns.flags["warmup"][i]), int(integers["index"][i]) - 1))
        known = before is not None and counted[before]
        said[i] = total[before] if known else integers["prompt_tokens"][i]
    return said


def _places(columns: Columns) -> dict[tuple[bool, int], int]:
    """Where each request stands; the turns of a conversation have successive indices."""
    keys = zip(columns.flags["warmup"].tolist(), columns.integers["index"].tolist(), strict=True)
    return {key: i for i, key in enumerate(keys)}


def _share(columns: Columns, good: Mask, cached: npt.NDArray[np.int64]) -> float | None:
    known = good & (cached != ABSENT)
    prompt = int(columns.integers["prompt_tokens"][known].sum())
    return float(cached[known].sum()) / prompt if prompt > 0 else None
