"""The ticker by itself: what it does when requests do not fit, go away, or the machine is late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

import pytest

from harness.forecast.settings import EngineSettings
from harness.forecast.step import Batch, StepModel
from harness.forecast.tables import gpu, model
from harness.simulator.engine import Engine
from harness.simulator.openmetrics import EngineMetrics
from harness.simulator.sequences import Generation, Mailbox


def engine(*, blocks: int = 1000, max_num_seqs: int = 8) -> Engine:
    facts, card = model("qwen2.5-0.5b"), gpu("gpurtx6000pro")
    assert facts is not None
    assert card is not None
    settings = EngineSettings(max_model_len=2048, max_num_seqs=max_num_seqs)
    steps = StepModel(facts, card, settings)
    return Engine(
        steps,
        settings.resolve(facts, card),
        blocks=blocks,
        metrics=EngineMetrics("0.15.1", max_model_len=2048),
    )


def generation(tokens: int, *, prompt: int = 16) -> Generation:
    return Generation(
        prompt_tokens=prompt, texts=[" a"] * tokens, ids=[20] * tokens, finish_reason="length", stop_reason=None,
        asked_tokens=tokens, mailbox=Mailbox(),
    )  # fmt: skip


def running(play: Callable[[Engine], Coroutine[None, None, None]], **changes: int) -> Engine:
    """Play with a ticking engine; returns it, stopped."""

    async def run() -> Engine:
        made = engine(**changes)
        await made.start()
        try:
            await asyncio.wait_for(play(made), 20)
        finally:
            await made.stop()
        return made

    return asyncio.run(run())


async def until_finished(*generations: Generation) -> None:
    for one in generations:
        while not one.finished:
            await one.mailbox.wait()


def test_a_request_larger_than_the_cache_waits_without_using_the_processor() -> None:
    async def play(made: Engine) -> None:
        made.submit(generation(10, prompt=200))  # 13 blocks of 16, of which there are 5
        await asyncio.sleep(0.1)
        before = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before < 0.25
        assert made.gauges().waiting == 1

    running(play, blocks=5)


def test_an_aborted_request_frees_its_blocks_and_is_counted_as_by_vllm_not_at_all() -> None:
    async def play(made: Engine) -> None:
        one, other = generation(1000), generation(5)
        made.submit(one)
        await one.mailbox.wait()
        made.abort(one)
        made.submit(other)
        await until_finished(other)
        made.abort(other)  # ended already: nothing to do

    made = running(play)
    assert made.metrics.finished == {"stop": 0, "length": 1, "abort": 0, "error": 0}
    assert made.scheduler.pool.free == 1000
    assert [truth.aborted for truth in made.truths] == [True, False]


def test_a_request_aborted_before_the_scheduler_saw_it_never_runs() -> None:
    async def play(made: Engine) -> None:
        one = generation(5)
        made.submit(one)
        made.abort(one)
        await asyncio.sleep(0.05)
        assert made.scheduler.iterations == 0

    running(play)


def test_tokens_missed_while_the_machine_stood_still_come_at_once() -> None:
    async def play(made: Engine) -> None:
        one = generation(100)
        made.submit(one)
        await one.mailbox.wait()
        first = one.available
        time.sleep(0.15)  # noqa: ASYNC251 -- the machine is what stands still
        seen = [first]
        while not one.finished:
            await one.mailbox.wait()
            seen.append(one.available)
        assert seen == sorted(seen)
        assert seen[-1] == 100

    made = running(play)
    (truth,) = made.truths
    # 99 steps of some 3.4 ms are 0.33 s; standing still for 0.15 s of them is made up for.
    assert truth.ended_s - truth.first_s == pytest.approx(99 * step_s(made), rel=0.25)


def step_s(made: Engine) -> float:
    return made._steps.seconds(Batch(1, 1, 1, 66.0))


def test_histograms_count_what_happened() -> None:
    async def play(made: Engine) -> None:
        several = [generation(20) for _ in range(4)]
        for one in several:
            made.submit(one)
        await until_finished(*several)

    made = running(play)
    histograms = made.metrics.histograms
    assert histograms["time_to_first_token_seconds"].observed == 4
    assert histograms["request_generation_tokens"].total == 80
    # Every token but each request's first is one gap.
    assert histograms["inter_token_latency_seconds"].observed == 76
    assert made.metrics.counters["generation_tokens"] == 80
    assert made.metrics.counters["prompt_tokens"] == 64
    # A recorded engine counts a prompt and its first token in the step that gives that token.
    assert histograms["iteration_tokens_total"].total == 64 + 80


def test_a_mailbox_never_loses_a_wake() -> None:
    async def run() -> None:
        box = Mailbox()
        box.wake()
        box.wake()
        await asyncio.wait_for(box.wait(), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.wait(), 0.01)
        asyncio.get_running_loop().call_later(0.01, box.wake)
        await asyncio.wait_for(box.wait(), 1)

    asyncio.run(run())
