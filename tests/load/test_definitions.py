"""The same stream under four tools' definitions: TTFT 200 ms, 20 tokens 20 ms apart, as the peers were measured."""

from __future__ import annotations

import numpy as np
import pytest

from harness.load.definitions import variants
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult

CLIENT = ClientStats("kernel", 0.0, 0.0, 0.0, 0, 0, 0.0, 1)


def figures_of(*, tokens_per_chunk: int = 1, usage_late_s: float = 0.0) -> dict[tuple[str, str], float]:
    """Means in milliseconds; the stream starts at 1 s on a connection that took 10 ms to open."""
    chunks = 20 // tokens_per_chunk
    times = 1.2 + np.arange(chunks) * 0.02 * tokens_per_chunk
    record = RequestRecord(
        index=0,
        scheduled_s=0.99,
        sent_s=1.0,
        connect_time_s=0.01,
        role_s=1.199,
        first_token_s=float(times[0]),
        last_token_s=float(times[-1]),
        done_s=float(times[-1]) + usage_late_s,
        ended_s=float(times[-1]) + usage_late_s,
        chunk_times_s=times,
        chunk_tokens=np.full(chunks, tokens_per_chunk, np.int32),
        tokens_assumed=False,
        completion_tokens=20,
        outcome=Outcome.SUCCEEDED,
    )
    found = variants(StageResult("c1", {}, [record], 0.0, 5.0, 0.0, CLIENT))
    assert len(found) == 12
    return {(each.tool, each.figure): (each.summary.mean or 0.0) * 1000 for each in found}


def test_a_plain_stream() -> None:
    ms = figures_of()
    assert ms["harness", "TTFT"] == pytest.approx(200)
    assert ms["harness", "TPOT"] == ms["harness", "ITL"] == pytest.approx(20)
    # 580 ms for 20 tokens: the TTFT is in it.
    assert ms["guidellm", "TPOT"] == pytest.approx(29)
    assert ms["guidellm", "ITL"] == ms["aiperf", "ITL"] == ms["aiperf", "ICL"] == pytest.approx(20)
    assert ms["vllm bench", "TTFT"] == pytest.approx(209)
    assert ms["vllm bench", "TPOT"] == pytest.approx(381 / 19)
    # 19 gaps of 20 ms and one of 1 ms after the role chunk.
    assert ms["vllm bench", "ITL"] == pytest.approx(381 / 20)


def test_a_late_usage_chunk_moves_only_what_ends_with_the_last_message() -> None:
    ms = figures_of(usage_late_s=0.1)
    assert ms["vllm bench", "TPOT"] == pytest.approx(481 / 19)
    assert ms["harness", "TPOT"] == ms["aiperf", "ITL"] == pytest.approx(20)


def test_four_tokens_a_chunk_are_right_only_with_the_first_chunks_count() -> None:
    ms = figures_of(tokens_per_chunk=4)
    # 320 ms from the first chunk to the last, for 16 tokens after it.
    assert ms["harness", "TPOT"] == pytest.approx(20)
    assert ms["aiperf", "ITL"] == pytest.approx(320 / 19)
    assert ms["guidellm", "ITL"] == pytest.approx(320 / 19)
    assert ms["harness", "ITL"] == ms["aiperf", "ICL"] == pytest.approx(80)
