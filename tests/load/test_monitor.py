"""The live figures of a stage, and its process's own."""

from __future__ import annotations

import time

import pytest

from harness.load.monitor import RECENT, Tally
from harness.load.records import Outcome, RequestRecord


def ended(tokens: int, outcome: Outcome = Outcome.SUCCEEDED) -> RequestRecord:
    return RequestRecord(
        index=0,
        scheduled_s=0.0,
        sent_s=0.0,
        first_token_s=0.1,
        last_token_s=0.1 + 0.02 * (tokens - 1),
        completion_tokens=tokens,
        outcome=outcome,
    )


def test_rates_are_over_the_time_that_has_passed_not_between_two_ends() -> None:
    tally = Tally()
    for _ in range(4):
        tally.ended(ended(50))
    told = tally.progress(phase="measure", elapsed_s=2.0, total_s=10.0)
    assert (told.requests_req_s, told.output_tok_s) == (2.0, 100.0)
    assert told.ttft_s == pytest.approx(0.1)
    assert told.tpot_s == pytest.approx(0.02)
    # Long into a stage only the last five seconds count.
    assert tally.progress(phase="measure", elapsed_s=500.0, total_s=None).requests_req_s == 0.8


def test_failures_are_counted_by_class_and_unfinished_ones_not_at_all() -> None:
    tally = Tally()
    for outcome in (
        Outcome.TIMEOUT,
        Outcome.TIMEOUT,
        Outcome.HTTP_429,
        Outcome.UNFINISHED,
        Outcome.SUCCEEDED,
    ):
        tally.ended(ended(2, outcome))
    told = tally.progress(phase="drain", elapsed_s=1.0, total_s=1.0)
    assert told.failures == {"timeout": 2, "http_429": 1}
    assert (told.failed, told.succeeded) == (3, 1)


def test_very_many_requests_are_told_from_those_kept() -> None:
    tally = Tally()
    began = time.monotonic()
    for _ in range(3 * RECENT):
        tally.ended(ended(1))
    told = tally.progress(phase="measure", elapsed_s=100.0, total_s=None)
    assert tally.succeeded == 3 * RECENT
    assert told.requests_req_s >= min(RECENT / max(time.monotonic() - began, 0.25), RECENT / 0.25) * 0.99
