"""What each parameter does to a cell, and what must hold whatever it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.forecast.cell import Forecast, forecast_cell
from harness.forecast.hardware import Gpu
from harness.forecast.level import Binding, LevelForecast
from harness.forecast.load import Arrivals, Load
from harness.forecast.memory import plan_memory
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, Speculation
from harness.forecast.step import StepModel
from harness.forecast.tables import gpu, model
from harness.forecast.trace import Trace
from harness.forecast.virtual import VirtualRun

# Near what one A5000 can take with Llama-8B in 16 bits: the KV cache is nearly full.
CHAT = Load(Arrivals.POISSON, 2.4, 800, 250, requests=400, input_sigma=0.4, output_sigma=0.4)
BASE = EngineSettings(max_model_len=8192)


def llama() -> ModelFacts:
    found = model("llama3-8b")
    assert found is not None
    return found


def card(family: str = "gpua5000") -> Gpu:
    found = gpu(family)
    assert found is not None
    return found


def forecast(family: str = "gpua5000", load: Load = CHAT, gpus: int = 1, **changes: object) -> Forecast:
    settings = replace(BASE, **changes)  # type: ignore[arg-type]  # test input
    return forecast_cell(llama(), card(family), settings, gpu_count=gpus, loads=(load,))


def level(family: str = "gpua5000", load: Load = CHAT, gpus: int = 1, **changes: object) -> LevelForecast:
    (found,) = forecast(family, load, gpus, **changes).levels
    return found


def seconds(value: float | None) -> float:
    assert value is not None
    return value


@pytest.fixture(scope="module")
def base() -> LevelForecast:
    return level()


def test_the_base_cell_is_where_the_reference_puts_it(base: LevelForecast) -> None:
    # An independent implementation of the same equations, 2.5/s: TTFT p50 202 ms, TPOT p50 44.6 ms.
    assert seconds(base.ttft_s.p50) == pytest.approx(0.202, rel=0.2)
    assert seconds(base.tpot_s.p50) == pytest.approx(0.0446, rel=0.15)
    assert base.kv_share > 0.85


def test_the_earlier_version_is_slower_by_its_host_time(base: LevelForecast) -> None:
    assert seconds(level(engine_version="0.12.0").tpot_s.p50) > seconds(base.tpot_s.p50) + 0.0025


def test_fewer_sequences_speed_up_tokens_and_make_requests_queue(base: LevelForecast) -> None:
    few = level(max_num_seqs=8)
    assert seconds(few.tpot_s.p50) < seconds(base.tpot_s.p50)
    assert seconds(few.ttft_s.p50) > 20 * seconds(base.ttft_s.p50)
    assert few.output_throughput < 0.6 * base.output_throughput
    assert few.binding is Binding.MAX_NUM_SEQS


def test_a_smaller_token_budget_trades_first_tokens_for_even_gaps(base: LevelForecast) -> None:
    small = level(max_num_batched_tokens=512)
    assert seconds(small.itl_s.p99) < 0.5 * seconds(base.itl_s.p99)
    assert seconds(small.ttft_s.p50) > seconds(base.ttft_s.p50)


def test_a_larger_token_budget_costs_cache() -> None:
    assert forecast(max_num_batched_tokens=8192).memory.tokens < forecast().memory.tokens - 5000


def test_less_memory_preempts_and_then_does_not_start(base: LevelForecast) -> None:
    tight = level(gpu_memory_utilization=0.8)
    assert tight.preemptions > 2 * base.preemptions
    assert seconds(tight.ttft_s.p50) > 5 * seconds(base.ttft_s.p50)
    assert tight.binding is Binding.KV_CACHE
    refused = forecast(gpu_memory_utilization=0.7)
    assert refused.failure is not None
    assert refused.failure.code == "kv-below-max-model-len"
    assert refused.levels == ()


def test_an_eight_bit_cache_holds_twice_as_much_and_reads_half(base: LevelForecast) -> None:
    eight = forecast(kv_cache_dtype="fp8")
    assert eight.memory.tokens == pytest.approx(2 * forecast().memory.tokens, rel=0.01)
    assert seconds(eight.levels[0].tpot_s.p50) < seconds(base.tpot_s.p50)
    assert eight.levels[0].kv_share < 0.65


def test_without_a_length_the_models_own_does_not_fit() -> None:
    assert not forecast(max_model_len=None).starts


@pytest.mark.parametrize("method", ["fp8", "awq"])
def test_smaller_weights_speed_up_tokens_and_slow_down_prompts(base: LevelForecast, method: str) -> None:
    # Ampere multiplies in 16 bits whatever the weights are stored in.
    cell = forecast(quantization=method)
    assert seconds(cell.levels[0].tpot_s.p50) < 0.85 * seconds(base.tpot_s.p50)
    assert cell.memory.tokens > 2 * forecast().memory.tokens
    prompt = Load(Arrivals.CLOSED, 1, 1500, 2, requests=20)
    assert seconds(level(load=prompt, quantization=method).ttft_s.p50) > seconds(
        level(load=prompt).ttft_s.p50
    )


def test_more_gpus_divide_weights_and_multiply_cache(base: LevelForecast) -> None:
    two, four = forecast(gpus=2, tensor_parallel=2), forecast(gpus=4, tensor_parallel=4)
    tpots = [seconds(found.tpot_s.p50) for found in (base, two.levels[0], four.levels[0])]
    assert tpots == sorted(tpots, reverse=True)
    ttfts = [seconds(found.ttft_s.p50) for found in (base, two.levels[0], four.levels[0])]
    assert ttfts == sorted(ttfts, reverse=True)
    assert four.memory.tokens > two.memory.tokens > 4 * forecast().memory.tokens


@pytest.mark.parametrize("draft", [Speculation("ngram", 3, 0.5), Speculation("eagle", 3, 0.7)])
def test_speculation_helps_at_low_load_and_not_at_high(base: LevelForecast, draft: Speculation) -> None:
    assert seconds(level(speculation=draft).tpot_s.p50) < 0.7 * seconds(base.tpot_s.p50)
    crowd = Load(Arrivals.CLOSED, 256, 100, 100, requests=512)
    plain = level("gpu3", crowd, quantization="awq").output_throughput
    assert level("gpu3", crowd, quantization="awq", speculation=draft).output_throughput < 1.1 * plain


def test_without_prefix_caching_a_shared_prompt_is_computed_each_time() -> None:
    shared = Load(Arrivals.POISSON, 2.5, 1800, 250, requests=300, shared_prefix_tokens=1500)
    cached, computed = level("gpu3", shared), level("gpu3", shared, prefix_caching=False)
    assert seconds(computed.ttft_s.p50) > 5 * seconds(cached.ttft_s.p50)
    assert computed.output_throughput < cached.output_throughput


def test_eager_mode_costs_a_small_model_most() -> None:
    small = model("qwen2.5-0.5b")
    assert small is not None
    one = Load(Arrivals.CLOSED, 1, 100, 100, requests=10)

    def tpot(facts: ModelFacts, eager: bool) -> float:
        settings = replace(BASE, enforce_eager=eager, engine_version="0.12.0")
        found = forecast_cell(facts, card(), settings, gpu_count=1, loads=(one,))
        return seconds(found.levels[0].tpot_s.p50)

    large_cost = tpot(llama(), True) / tpot(llama(), False)
    small_cost = tpot(small, True) / tpot(small, False)
    assert 1.0 < large_cost < 1.05
    assert small_cost > large_cost


def test_replicas_share_the_load_and_add_up() -> None:
    heavy = replace(CHAT, level=4.8, requests=800)
    (two,) = forecast_cell(llama(), card(), BASE, gpu_count=1, replicas=2, loads=(heavy,)).levels
    assert two.output_throughput == pytest.approx(2 * level().output_throughput, rel=1e-9)


def test_the_same_seed_gives_the_same_forecast() -> None:
    assert repr(level()) == repr(level())


def run(
    load: Load, *, leaps: bool = True, family: str = "gpua5000", **changes: object
) -> tuple[Trace, VirtualRun]:
    settings = replace(BASE, **changes)  # type: ignore[arg-type]  # test input
    memory = plan_memory(llama(), card(family), settings)
    steps = StepModel(llama(), card(family), settings)
    chosen = settings.resolve(llama(), card(family))
    virtual = VirtualRun(steps, chosen, blocks=memory.blocks, load=load, engines=1, seed=3)
    return virtual.run(leaps=leaps), virtual


LOADS = [
    CHAT,
    Load(Arrivals.POISSON, 6, 800, 250, requests=300),
    Load(Arrivals.CLOSED, 32, 512, 200, requests=200, output_spread=0.2),
    Load(Arrivals.BURST, 0, 1000, 300, requests=150, output_sigma=0.5),
    Load(Arrivals.CONSTANT, 1, 3000, 100, requests=100),
    Load(Arrivals.POISSON, 2, 900, 100, requests=150, shared_prefix_tokens=600),
]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.arrivals}-{load.level:g}")
@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
def test_leaps_change_nothing(load: Load, version: str) -> None:
    fast, fast_run = run(load, engine_version=version, gpu_memory_utilization=0.82)
    slow, slow_run = run(load, leaps=False, engine_version=version, gpu_memory_utilization=0.82)
    np.testing.assert_allclose(fast.first_s, slow.first_s, rtol=1e-9)
    np.testing.assert_allclose(fast.ended_s, slow.ended_s, rtol=1e-9)
    assert fast_run.scheduler.iterations == slow_run.scheduler.iterations
    assert fast.preemptions == slow.preemptions
    assert fast.work.tokens == slow.work.tokens


@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.arrivals}-{load.level:g}")
def test_every_request_ends_and_every_block_comes_back(load: Load) -> None:
    trace, virtual = run(load)
    assert len(trace.ended_s) == load.requests
    assert not np.isnan(trace.ended_s).any()
    assert (trace.sent_s < trace.first_s).all()
    assert (trace.first_s <= trace.ended_s).all()
    virtual.scheduler.pool.check()
    assert virtual.scheduler.pool.free == virtual.scheduler.pool.total


@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.arrivals}-{load.level:g}")
def test_no_work_is_lost_or_invented(load: Load) -> None:
    # Each output token but the first is one decode; each prompt token is computed, unless found cached. What
    # preemption threw away is computed again, so without preemptions the sums are exact.
    trace, _ = run(load, family="gpurtx6000pro")
    assert trace.preemptions == 0
    assert trace.work.decodes == int((trace.outputs - 1).sum())
    assert trace.work.tokens == int(trace.prompts.sum() + (trace.outputs - 1).sum()) - trace.hit_tokens


def test_littles_law_holds_for_requests_in_the_system() -> None:
    # Mean number in the system = arrival rate x mean time in it, over the whole run from empty to empty.
    trace, _ = run(CHAT)
    instants = np.concatenate([trace.sent_s, trace.ended_s])
    changes = np.concatenate([np.ones(len(trace.sent_s)), -np.ones(len(trace.ended_s))])
    order = np.argsort(instants, kind="stable")
    inside = np.cumsum(changes[order])[:-1]
    length = instants[order][-1] - instants[order][0]
    mean_inside = float((inside * np.diff(instants[order])).sum() / length)
    rate = len(trace.sent_s) / length
    assert mean_inside == pytest.approx(rate * float((trace.ended_s - trace.sent_s).mean()), rel=1e-9)


def test_a_busy_engine_never_rests_while_someone_waits() -> None:
    # A burst at 0: the engine computes without a pause from the first request's end of front end to the last token.
    trace, _ = run(LOADS[3])
    begin = 6e-3 + 1.5e-6 * float(trace.prompts.min())
    assert float(trace.ended_s.max()) == pytest.approx(begin + trace.work.busy_s, rel=1e-6)


def test_more_bandwidth_and_more_computation_never_hurt() -> None:
    def makespan(bandwidth: float, flops: float) -> float:
        faster = replace(card(), bandwidth=card().bandwidth * bandwidth, flops=card().flops * flops)
        (found,) = forecast_cell(llama(), faster, BASE, gpu_count=1, loads=(LOADS[3],)).levels
        return 1 / found.output_throughput

    times = [makespan(1, 1), makespan(1.3, 1), makespan(1.3, 1.3), makespan(2, 2)]
    assert times == sorted(times, reverse=True)
