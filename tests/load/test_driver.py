"""A stage from end to end against a server that knows what it sent, and the traps that other clients fall into."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.load import talk
from harness.load.arrivals import ClosedLoop, ConstantRate, PoissonRate
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.metrics import summarise
from harness.load.records import Endpoint, Outcome, RequestRecord, StageResult
from harness.load.response import MANY_PIECES
from harness.load.stage import Stage
from harness.load.workload import Workload

Serve = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("no_leak")


def test_every_instant_follows_the_servers_own(serve: Serve, lab: ModuleType) -> None:
    record = lab.load_once((server := serve()).url, output=4)
    [reply] = server.replies
    # Writes: headers, role, 4 tokens, usage, [DONE], end. The connection was opened before the clock's origin.
    sent = [ns / 1e9 for ns in reply.sent_ns]
    origin = None
    got = [record.headers_s, record.role_s, *record.chunk_times_s.tolist(), record.done_s]
    assert len(got) == 7
    for theirs, ours in zip([*sent[:6], sent[7]], got, strict=True):
        offset = theirs - ours
        origin = offset if origin is None else origin
        # Loopback: the kernel has the bytes some microseconds after the write; a busy machine adds to it.
        assert abs(offset - origin) < 0.02
    assert record.outcome is Outcome.SUCCEEDED
    assert record.sent_s < record.headers_s < record.role_s <= record.first_token_s < record.last_token_s
    assert record.ended_s >= record.done_s
    assert (record.prompt_tokens, record.completion_tokens) == (lab.words_of(server.requests[0].body), 4)
    assert record.chunk_tokens.tolist() == [1, 1, 1, 1]
    assert not record.tokens_assumed


def test_a_closed_loop_keeps_its_concurrency_and_counts_every_token(serve: Serve, lab: ModuleType) -> None:
    server = serve()
    result = lab.load(server.url, Stage(arrivals=ClosedLoop(6), requests=30), output=7)
    assert server.most_in_flight == 6
    assert len(result.records) == len(server.requests) == 30
    assert [record.outcome for record in result.records] == [Outcome.SUCCEEDED] * 30
    assert sum(int(record.chunk_tokens.sum()) for record in result.records) == 30 * 7
    assert result.client.connections_opened == 6
    assert result.client.clock == "kernel"


def test_warm_up_prompts_are_not_in_the_measured_set(serve: Serve, lab: ModuleType) -> None:
    server = serve()
    result = lab.load(server.url, Stage(arrivals=ClosedLoop(2), duration_s=0.4, warmup_s=0.3))
    prompts = [request.body["messages"][0]["content"] for request in server.requests]
    warmups = sum(record.warmup for record in result.records)
    assert warmups >= 4
    assert len(result.records) - warmups >= 4
    assert len(set(prompts)) == len(prompts) == len(result.records)
    assert all(record.scheduled_s < 0.3 + 0.1 for record in result.records if record.warmup)


def test_an_open_loop_sends_on_schedule_whatever_the_server_does(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.3))
    result = lab.load(server.url, Stage(arrivals=ConstantRate(40), requests=20))
    assert [record.scheduled_s for record in result.records] == pytest.approx([i / 40 for i in range(20)])
    assert server.most_in_flight >= 10
    assert all(0 <= record.lateness_s < 0.1 for record in result.records)


def test_a_limit_in_flight_is_kept_and_told(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.1))
    stage = Stage(arrivals=ConstantRate(50), requests=12, max_in_flight=3)
    result = lab.load(server.url, stage)
    assert server.most_in_flight == 3
    assert result.client.queued >= 6
    late = summarise(result)
    assert late.lateness.max > 0.1
    assert any("limit on requests in flight" in reason for reason in late.verdict.reasons)


def test_the_same_seed_sends_the_same_requests_at_the_same_times(serve: Serve, lab: ModuleType) -> None:
    server = serve()
    stage = Stage(arrivals=PoissonRate(100), requests=10)
    first, second = lab.load(server.url, stage), lab.load(server.url, stage)
    assert [r.scheduled_s for r in first.records] == pytest.approx([r.scheduled_s for r in second.records])
    bodies = [request.body for request in server.requests]
    salts = {body.pop("cache_salt") for body in bodies}
    assert len(salts) == 2
    key = str
    assert sorted(map(key, bodies[:10])) == sorted(map(key, bodies[10:]))


def test_what_is_in_flight_at_the_end_is_unfinished_and_cancelled(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(gap_s=0.05))
    stage = Stage(arrivals=ClosedLoop(3), duration_s=0.3, drain_s=0.1)
    result = lab.load(server.url, stage, output=1000)
    assert len(result.records) == 3
    assert [record.outcome for record in result.records] == [Outcome.UNFINISHED] * 3
    assert all(len(record.chunk_times_s) >= 3 for record in result.records)
    assert server.closed_within(2)


def test_what_ends_in_the_drain_is_unfinished_with_its_tokens(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.4))
    result = lab.load(server.url, Stage(arrivals=ClosedLoop(2), duration_s=0.2, drain_s=5.0))
    assert [record.outcome for record in result.records] == [Outcome.UNFINISHED] * 2
    reasons = summarise(result).verdict.reasons
    assert any(reason.startswith("the window (0.2 s) is shorter than a request (0.") for reason in reasons)
    assert [record.completion_tokens for record in result.records] == [5, 5]
    assert result.window_end_s == pytest.approx(0.2)


def test_answers_in_one_piece_have_an_end_and_no_first_token(serve: Serve, lab: ModuleType) -> None:
    result = lab.load(serve().url, Stage(arrivals=ClosedLoop(1), requests=2), streamed=False)
    assert len(result.records) == 2
    for record in result.records:
        assert record.outcome is Outcome.SUCCEEDED
        assert record.first_token_s is None
        assert record.last_token_s == record.ended_s
        assert record.completion_tokens == 5


async def held_up(url: str, lab: ModuleType, *, for_s: float = 0.03) -> StageResult:
    """A stage on a loop that something else holds for so long, then leaves alone for 5 ms, and so on."""

    async def hold() -> None:
        while True:
            time.sleep(for_s)  # noqa: ASYNC251 - holding the loop is the point
            await asyncio.sleep(0.005)

    holder = asyncio.ensure_future(hold())
    workload = Workload(input_tokens=FixedLength(20), output_tokens=FixedLength(12))
    try:
        stage = Stage(arrivals=ClosedLoop(2), requests=4)
        return await run_stage(Endpoint(url, "tiny"), stage, workload, probe=lab.PROBE)
    finally:
        holder.cancel()


def test_a_client_that_is_held_up_says_so_and_the_kernels_clock_stays_true(
    serve: Serve, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lab.answering(first_s=0.05, gap_s=0.05))
    kernel = summarise(asyncio.run(held_up(server.url, lab)))
    sent_s = [reply.sent_ns for reply in server.replies]
    # Of each reply's writes 2 to 13 are the tokens.
    true_gaps = np.concatenate([np.diff(np.array(sent[2:14]) / 1e9) for sent in sent_s])
    monkeypatch.setattr("harness.load.dial.sys.platform", "other")
    user = summarise(asyncio.run(held_up(server.url, lab)))

    assert kernel.verdict.state != "valid"
    assert any("client" in reason for reason in kernel.verdict.reasons)
    assert kernel.itl.count == len(true_gaps) == 44
    assert kernel.itl.mean == pytest.approx(float(true_gaps.mean()), rel=0.05)
    assert kernel.itl.p90 == pytest.approx(float(np.percentile(true_gaps, 90)), rel=0.05)
    # The user-space clock sees a token when the loop is free again: up to 30 ms late.
    assert user.itl.p90 > 1.1 * kernel.itl.p90
    assert any("user-space clock" in reason for reason in user.verdict.reasons)


def test_the_figures_of_a_starved_client_are_its_own_and_void(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.05, gap_s=0.01))
    metrics = summarise(asyncio.run(held_up(server.url, lab, for_s=0.2)))
    true_gaps = np.concatenate([np.diff(np.array(reply.sent_ns[2:14]) / 1e9) for reply in server.replies])
    assert len(true_gaps) == 44
    # The server wrote a token every 10 ms or more; the client read most of them together.
    assert float(np.median(true_gaps)) >= 0.009
    assert metrics.itl.p50 < 0.001
    assert metrics.verdict.state == "void"
    assert any(reason.startswith("client starved") for reason in metrics.verdict.reasons)


# The five traps: each is a stream that at least one of five widely used clients got wrong.

Step = tuple[float, bytes]


def playing(lab: ModuleType, steps: list[Step]) -> Any:
    """A handler that writes each step's bytes after its pause, as one write."""

    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        for pause_s, data in steps:
            await asyncio.sleep(pause_s)
            await reply.chunk(data)
        await reply.write(b"0\r\n\r\n")

    return handle


def event(message: Any) -> bytes:
    return b"data: " + (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n\n"


def trap(serve: Serve, lab: ModuleType, steps: list[Step], count: int = 1) -> list[RequestRecord]:
    server = serve(playing(lab, steps))
    return list(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=count), output=4).records)


def test_trap_1_an_error_in_a_200_stream_is_a_failure(serve: Serve, lab: ModuleType) -> None:
    error = event({"error": {"message": "x", "code": 500}})
    steps = [(0.0, event(lab.text("a", ids=[1]))), (0.01, error), (0.0, event(b"[DONE]"))]
    server = serve(playing(lab, steps))
    metrics = summarise(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=2)))
    assert (metrics.succeeded, metrics.failed, metrics.failures) == (0, 2, {"error_event": 2})
    assert metrics.ttft.count == 0
    assert metrics.adjusted["ttft"][50.0] == float("inf")


def test_trap_2_the_role_chunk_is_not_the_first_token(serve: Serve, lab: ModuleType) -> None:
    steps = [
        (0.0, event(lab.ROLE)),
        (0.2, event(lab.text("a", finish="length", ids=[1]))),
        (0.0, event(b"[DONE]")),
    ]
    [record] = trap(serve, lab, steps)
    assert record.first_token_s - record.role_s > 0.15
    assert record.ttft_s > 0.15


def test_trap_3_chunks_batched_by_a_proxy_are_flagged(serve: Serve, lab: ModuleType) -> None:
    batch = b"".join(event(lab.text("a", ids=[i])) for i in range(5))
    last = event(lab.text("z", finish="length", ids=[9])) + event(lab.usage(5, 16)) + event(b"[DONE]")
    server = serve(playing(lab, [(0.3, batch), (0.05, batch), (0.05, batch), (0.05, last)]))
    metrics = summarise(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=2), output=16))
    # 15 gaps a request: 12 of them within a batch.
    assert metrics.itl.count == 30
    assert metrics.small_gap_share == pytest.approx(12 / 15)
    assert metrics.verdict.state == "suspect"
    assert any("batches" in reason for reason in metrics.verdict.reasons)
    assert any("several events" in reason for reason in metrics.verdict.reasons)


def test_trap_4_a_late_usage_chunk_moves_nothing(serve: Serve, lab: ModuleType) -> None:
    tokens = [(0.02, event(lab.text("a", ids=[i], finish="length" if i == 3 else None))) for i in range(4)]
    [record] = trap(serve, lab, [*tokens, (0.3, event(lab.usage(5, 4))), (0.0, event(b"[DONE]"))])
    assert record.completion_tokens == 4
    assert record.last_token_s == record.chunk_times_s[3]
    assert record.done_s - record.last_token_s > 0.25
    assert record.e2e_s < 0.25


def test_trap_5_several_tokens_in_a_chunk_give_the_true_tpot(serve: Serve, lab: ModuleType) -> None:
    four = [1, 2, 3, 4]
    chunks = [(0.08, event(lab.text("a", ids=four, finish="length" if i == 4 else None))) for i in range(5)]
    server = serve(playing(lab, [*chunks, (0.0, event(lab.usage(5, 20))), (0.0, event(b"[DONE]"))]))
    metrics = summarise(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=2), output=20))
    # 4 gaps of 80 ms for the 16 tokens after the first chunk: 20 ms; (n - 1) would say 16.8.
    assert metrics.tpot.p50 == pytest.approx(0.02, rel=0.1)
    assert metrics.tokens_per_chunk == 4


def test_a_long_answer_is_read_while_it_runs_and_counted_whole(
    serve: Serve, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def completing(record: RequestRecord, reading: Any, **options: Any) -> Any:
        kept.append(len(reading.response.body))
        return talk_completing(record, reading, **options)

    talk_completing = talk.completing
    monkeypatch.setattr(talk, "completing", completing)
    tokens = 5 * MANY_PIECES
    record = lab.load_once(serve(lab.answering(gap_s=0.0)).url, output=tokens)
    assert record.outcome is Outcome.SUCCEEDED
    assert (record.completion_tokens, int(record.chunk_tokens.sum())) == (tokens, tokens)
    assert np.all(np.diff(record.chunk_times_s) >= 0)
    assert len(kept) == 1
    assert kept[0] < 3 * MANY_PIECES
