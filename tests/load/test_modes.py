"""Two servers behind one address are noticed, one server is not taken for two. Requests are made here, by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from harness.load.columns import columns_of
from harness.load.figures import RequestFigures
from harness.load.modes import modes
from harness.load.records import Outcome, RequestRecord

Floats = npt.NDArray[np.float64]


def said(
    paces_s: Floats, *, failing: npt.NDArray[np.bool_] | None = None, prompt: object = 100
) -> tuple[str, ...]:
    """What is said of requests sent one after another, each with 20 tokens at its own pace, jittered by a tenth."""
    rng = np.random.default_rng(7)
    records = []
    for i, pace in enumerate(paces_s.tolist()):
        record = RequestRecord(index=i, scheduled_s=i * 0.1, sent_s=i * 0.1, outcome=Outcome.SUCCEEDED)
        gaps = pace * rng.uniform(0.9, 1.1, 19)
        record.chunk_times_s = i * 0.1 + 0.2 + np.concatenate([[0.0], np.cumsum(gaps)])
        record.chunk_tokens = np.ones(20, np.int32)
        record.first_token_s, record.last_token_s = record.chunk_times_s[0], record.chunk_times_s[-1]
        record.ended_s = record.last_token_s
        record.completion_tokens = 20
        record.prompt_tokens = int(np.broadcast_to(np.asarray(prompt), len(paces_s))[i])
        if failing is not None and failing[i]:
            record = RequestRecord(
                index=i, scheduled_s=i * 0.1, sent_s=i * 0.1, ended_s=i * 0.1, outcome=Outcome.HTTP_5XX
            )
        records.append(record)
    columns = columns_of(records)
    return modes(columns, RequestFigures.of(columns))


def steady(count: int, rng: np.random.Generator) -> Floats:
    return 0.02 * np.exp(rng.normal(0, 0.08, count))


@pytest.mark.parametrize("replicas", [2, 3, 4, 8])
def test_every_nth_request_failing_is_named(replicas: int) -> None:
    failing = np.arange(240) % replicas == 1
    [reason] = said(steady(240, np.random.default_rng(1)), failing=failing)
    assert reason == (
        f"bimodal: about 1 in {replicas} requests fails all through the window (http_5xx): a replica may be broken"
    )


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_a_replica_at_half_speed_is_named(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    slow = rng.random(300) < share
    [reason] = said(np.where(slow, 2.0, 1.0) * steady(300, rng))
    assert reason.startswith(f"bimodal: {slow.mean():.0%} of the requests run at ")
    assert reason.endswith(" ms: a replica may be slow")


ORDINARY: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "even": lambda rng, n: np.full(n, 0.02),
    "narrow": lambda rng, n: 0.02 * np.exp(rng.normal(0, 0.05, n)),
    "wide": lambda rng, n: 0.02 * np.exp(rng.normal(0, 0.6, n)),
    "uniform": lambda rng, n: rng.uniform(0.01, 0.05, n),
    "long tail": lambda rng, n: 0.01 + rng.exponential(0.02, n),
    "batch size wanders": lambda rng, n: (
        0.004 + 0.0005 * np.clip(8 + np.cumsum(rng.integers(-1, 2, n)), 1, 64)
    ),
    "a few stragglers": lambda rng, n: 0.02 * np.where(rng.random(n) < 0.02, 5.0, 1.0),
}


@pytest.mark.parametrize("kind", ORDINARY)
@pytest.mark.parametrize("count", [30, 200, 1500])
def test_one_server_is_never_taken_for_two(kind: str, count: int) -> None:
    for seed in range(20):
        assert said(ORDINARY[kind](np.random.default_rng(seed), count)) == ()


def test_a_change_of_speed_within_the_window_is_drift_and_not_two_servers() -> None:
    assert said(np.repeat([0.02, 0.04], 150)) == ()


def test_an_outage_for_a_while_is_not_a_broken_replica() -> None:
    failing = (np.arange(240) > 60) & (np.arange(240) < 120)
    assert said(steady(240, np.random.default_rng(1)), failing=failing) == ()


def test_two_kinds_of_prompts_explain_two_speeds() -> None:
    long = np.arange(300) % 2 == 0
    assert said(np.where(long, 0.04, 0.02), prompt=np.where(long, 8000, 100)) == ()


def test_few_failures_or_few_requests_are_no_pattern() -> None:
    assert said(np.full(300, 0.02), failing=np.arange(300) % 40 == 1) == ()
    assert said(np.full(12, 0.02), failing=np.arange(12) % 2 == 1) == ()
    assert said(np.where(np.arange(14) % 2, 0.02, 0.04)) == ()
