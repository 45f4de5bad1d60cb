"""Requests per second of loops whose rate is known by hand, cut by windows that hold no whole number of rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.load.columns import columns_of
from harness.load.records import Outcome, RequestRecord
from harness.load.throughput import finished, served_shares


def request(sent: float, times: list[float], **fields: Any) -> RequestRecord:
    """One token a chunk, as many as were asked for, unless told otherwise."""
    given: dict[str, Any] = {
        "index": 0, "scheduled_s": sent, "sent_s": sent, "first_token_s": times[0] if times else None,
        "last_token_s": times[-1] if times else None, "ended_s": times[-1] if times else sent,
        "chunk_times_s": np.array(times), "chunk_tokens": np.ones(len(times), np.int32), "tokens_assumed": False,
        "completion_tokens": len(times), "output_tokens_asked": len(times), "outcome": Outcome.SUCCEEDED,
    }  # fmt: skip
    return RequestRecord(**{**given, **fields})


def shares(*records: RequestRecord, window: tuple[float, float] = (0.0, 4.0)) -> list[float]:
    return [float(share) for share in served_shares(columns_of(records), window)]


@pytest.mark.parametrize("window", [(0.25, 4.05), (0.25, 4.35), (1.95, 3.45), (0.05, 0.65)])
def test_a_loop_in_lockstep_has_its_rate_in_any_window(window: tuple[float, float]) -> None:
    # Four users, each a request a second without a pause, its 10 tokens every 0.1 s: 4 requests/s.
    records = [
        request(start, [start + 0.1 * k for k in range(1, 11)]) for _ in range(4) for start in range(6)
    ]
    columns, length = columns_of(records), window[1] - window[0]
    assert served_shares(columns, window).sum() / length == pytest.approx(4.0)
    # Whole ends: 4, 4, 2 and 0 of them a user in 3.8, 4.1, 1.5 and 0.6 s.
    counted = {0.25: 4, 1.95: 2, 0.05: 0}[window[0]]
    assert finished(columns, window).sum() / length == pytest.approx(4 * counted / length)


def test_the_shares_of_a_request_in_windows_that_follow_each_other_add_up_to_one() -> None:
    long = request(0.0, [0.5, 1.5, 2.5, 3.5, 4.5])
    parts = [shares(long, window=(start, start + 1.0))[0] for start in (0.0, 1.0, 2.0, 3.0, 4.0)]
    assert parts == pytest.approx([0.2] * 5)


def test_chunks_of_several_tokens_weigh_by_their_tokens() -> None:
    uneven = request(0.0, [1.0, 5.0], chunk_tokens=np.array([3, 1], np.int32), completion_tokens=4)
    assert shares(uneven) == [0.75]


def test_a_request_that_ended_in_the_drain_counts_for_what_came_in_the_window() -> None:
    drained = request(3.0, [3.5, 4.5], outcome=Outcome.UNFINISHED)
    assert shares(drained) == [0.5]


def test_a_request_that_was_cut_off_is_as_long_as_it_was_asked_to_be() -> None:
    cut: dict[str, Any] = {"outcome": Outcome.UNFINISHED, "completion_tokens": None}
    assert shares(request(3.0, [3.2, 3.4], output_tokens_asked=8, **cut)) == [0.25]
    # Not asked for a length: as long as the other, which had 4 tokens.
    other = request(0.0, [0.5, 1.0, 1.5, 2.0])
    assert shares(other, request(3.0, [3.2, 3.4], output_tokens_asked=None, **cut)) == [1.0, 0.5]
    # It has already had more than it was asked for.
    assert shares(request(3.0, [3.2, 3.4], output_tokens_asked=1, **cut)) == [1.0]


def test_failures_serve_nothing_and_an_answer_in_one_piece_is_within_or_not() -> None:
    failed = request(0.0, [1.0, 2.0], outcome=Outcome.TRUNCATED)
    early, late = (
        request(0.0, [], last_token_s=at, ended_s=at, completion_tokens=50, first_token_s=None)
        for at in (3.0, 5.0)
    )
    silent = request(0.0, [], outcome=Outcome.UNFINISHED, completion_tokens=None)
    assert shares(failed, early, late, silent) == [0.0, 1.0, 0.0, 0.0]


def test_of_no_requests_there_are_no_shares() -> None:
    assert shares() == []
