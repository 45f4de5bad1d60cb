"""The requests of a point in guidellm's terms: its statuses, its instants, its entry for each. Pure.

guidellm stops requests at the window's end; here they went on, and end when they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.columns import ABSENT, Columns, Floats
from harness.load.figures import Mask
from harness.load.records import Outcome
from harness.results.exchange.guidellm_distributions import STATUSES, Weighted
from harness.results.point import Point

STATUS_WORDS = ("completed", "cancelled", "errored")  # of one request; in the order of STATUSES


@dataclass(frozen=True, slots=True)
class Requests:
    """Every request of a point, warm-up included; NaN where a figure is not known.

    Instants are Unix times. ``status`` is an index into STATUSES; ``tokens`` falls back on the number of chunks, as
    there, and is NaN without any.
    """

    columns: Columns
    origin: float
    window: tuple[float, float]
    status: npt.NDArray[np.int64]
    start: Floats
    end: Floats
    first: Floats
    last: Floats
    tokens: Floats
    prompts: Floats
    chunks: npt.NDArray[np.int64]

    @staticmethod
    def of(point: Point) -> Requests:
        """The requests of the point."""
        columns, meta = point.columns, point.meta
        floats, origin, outcomes = columns.floats, meta.started_at_unix, columns.outcomes
        unfinished = outcomes == str(Outcome.UNFINISHED)
        chunks = np.diff(columns.offsets)
        counted = _known(columns, "completion_tokens")
        return Requests(
            columns=columns,
            origin=origin,
            window=(meta.window_start_s + origin, meta.window_end_s + origin),
            status=np.where(outcomes == str(Outcome.SUCCEEDED), 0, np.where(unfinished, 1, 2)),
            start=floats["sent_s"] + origin,
            end=np.where(np.isnan(floats["ended_s"]), meta.window_end_s, floats["ended_s"]) + origin,
            first=floats["first_token_s"] + origin,
            last=floats["last_token_s"] + origin,
            tokens=np.where(np.isnan(counted) & (chunks > 0), chunks, counted),
            prompts=_known(columns, "prompt_tokens"),
            chunks=chunks,
        )

    def overlapping(self, begin: Floats, end: Floats) -> Mask:
        """True where an interval touches the window; one without an end does not, one without a begin is its end."""
        begun = np.where(np.isnan(begin), end, begin)
        return np.asarray((end >= self.window[0]) & (begun <= self.window[1]), dtype=np.bool_)

    def parts(self, values: Floats, weights: Floats | None, keep: Mask) -> list[Weighted]:
        """``values`` of the kept requests with their weights (1 each without any), apart by status."""
        given = np.ones(len(values)) if weights is None else weights
        masks = [keep & (self.status == status) for status in range(len(STATUSES))]
        return [(values[mask], given[mask]) for mask in masks]

    @property
    def streamed(self) -> Mask:
        """Requests whose tokens came in several chunks."""
        return np.asarray((self.chunks > 1) & ~np.isnan(self.first) & ~np.isnan(self.last), dtype=np.bool_)

    @property
    def later_per_chunk(self) -> Floats:
        """Tokens in each chunk after the first, which is taken to hold one; NaN where there is no such chunk."""
        wanted = self.streamed & (self.tokens > 1)
        return np.where(wanted, (self.tokens - 1) / np.maximum(self.chunks - 1, 1), np.nan)

    def later_times(self, keep: Mask) -> list[Weighted]:
        """Instant and tokens of each chunk after the first, spaced evenly as there, apart by status."""
        each = self.later_per_chunk
        owner = np.repeat(np.arange(len(each)), np.where(keep & ~np.isnan(each), self.chunks - 1, 0))
        step = (self.last - self.first) / np.maximum(self.chunks - 1, 1)
        place = np.arange(len(owner)) - np.searchsorted(owner, owner) + 1
        times, tokens = self.first[owner] + step[owner] * place, each[owner]
        masks = [self.status[owner] == status for status in range(len(STATUSES))]
        return [(times[mask], tokens[mask]) for mask in masks]

    def output_times(self, keep: Mask) -> list[Weighted]:
        """``later_times`` and the first token of each stream; an answer in one piece arrives whole at its end."""
        whole_at = np.where(np.isnan(self.last), self.end, self.last)
        streamed, tokens = self.streamed, np.nan_to_num(self.tokens)
        first = self.parts(
            np.where(streamed, self.first, whole_at),
            np.where(streamed, (tokens > 0).astype(np.float64), tokens),
            keep,
        )
        return joined(first, self.later_times(keep))


def joined(left: list[Weighted], right: list[Weighted]) -> list[Weighted]:
    """Two lists of weighted values, status by status."""
    pairs = zip(left, right, strict=True)
    return [(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])) for a, b in pairs]


def _known(columns: Columns, name: str) -> Floats:
    values = columns.integers[name]
    return np.where(values == ABSENT, np.nan, values).astype(np.float64)


def request_of(requests: Requests, index: int, *, run_id: str) -> dict[str, Any]:
    """One request as guidellm keeps it, without texts."""
    columns, status = requests.columns, int(requests.status[index])
    scheduled = columns.floats["scheduled_s"][index] + requests.origin
    role = columns.floats["role_s"][index] + requests.origin
    first, last, end = (_value(each[index]) for each in (requests.first, requests.last, requests.end))
    chunks = int(requests.chunks[index])
    timings = {
        "targeted_start": _value(scheduled),
        "request_start": _value(requests.start[index]),
        "first_request_iteration": first if np.isnan(role) else _value(role),
        "first_token_iteration": first,
        "last_token_iteration": last,
        "request_iterations": chunks + (not np.isnan(role)),
        "token_iterations": chunks,
        "request_end": end,
        "resolve_end": end,
    }
    info: dict[str, Any] = {
        "request_id": f"{run_id}-{columns.integers['index'][index]}",
        "status": STATUS_WORDS[status],
        "scheduler_start_time": requests.origin,
        "timings": timings,
        "error": columns.details[index] or str(columns.outcomes[index]) if status else None,
    }
    return {
        "type_": "generative_request_stats",
        "request_id": info["request_id"],
        "info": info,
        "input_metrics": {
            "text_tokens": _count(requests.prompts[index]),
            "cached_tokens": _count(_known(columns, "cached_tokens")[index]),
        },
        "output_metrics": {"text_tokens": _count(requests.columns.integers["completion_tokens"][index])},
    }


def _value(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _count(value: float) -> int | None:
    return None if np.isnan(value) or value == ABSENT else int(value)
