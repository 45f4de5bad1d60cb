"""The ceiling is above every forecast and every published measurement, and not by much where one stream runs."""

from __future__ import annotations

import itertools

import pytest

from harness.forecast.cell import forecast_cell
from harness.forecast.hardware import Gpu
from harness.forecast.load import Arrivals, Load
from harness.forecast.models import ModelFacts
from harness.forecast.published import measurements
from harness.forecast.roofline import ceiling_tok_s
from harness.forecast.settings import EngineSettings, Speculation
from harness.forecast.tables import gpu, gpus, model

MODELS = ("qwen2.5-0.5b", "llama3-8b", "llama3-70b", "qwen3-30b-a3b", "gpt-oss-20b")


def floor_tpot_s(facts: ModelFacts, card: Gpu, settings: EngineSettings) -> float:
    """Seconds per output token that a single stream cannot undercut."""
    return 1 / ceiling_tok_s(facts, card, settings, concurrency=1)


def test_one_stream_of_llama_8b_on_an_a5000_needs_twenty_milliseconds_a_token() -> None:
    llama, card = model("llama3-8b"), gpu("gpua5000")
    assert llama is not None
    assert card is not None
    # (6.979e9 + 128256 x 4096) x 2 bytes / 768 GB/s = 19.54 ms.
    assert floor_tpot_s(llama, card, EngineSettings()) == pytest.approx(19.54e-3, rel=1e-3)
    drafting = EngineSettings(speculation=Speculation("eagle", 3, 0.7))
    assert floor_tpot_s(llama, card, drafting) == pytest.approx(19.54e-3 / 4, rel=1e-3)
    assert ceiling_tok_s(llama, card, EngineSettings(), replicas=2, concurrency=2) == pytest.approx(
        2 / 19.54e-3, rel=1e-3
    )


def test_no_published_speed_is_above_the_ceiling() -> None:
    checked = 0
    for one in measurements():
        card, facts = gpu(one.gpu), model(one.model)
        assert card is not None
        assert facts is not None
        if one.metric.startswith("tpot"):
            assert one.value > floor_tpot_s(facts, card, one.settings), one.id
            checked += 1
        if one.metric == "output_throughput":
            assert one.value < ceiling_tok_s(facts, card, one.settings), one.id
            checked += 1
    assert checked == 58


@pytest.mark.parametrize("family", sorted(gpus()))
def test_no_forecast_is_above_the_ceiling_of_its_gpu(family: str) -> None:
    """GPUs without a measurement, small and large models, experts, 16, 8 and 4 bits, one to eight GPUs."""
    loads = [Load(Arrivals.CLOSED, level, 2000, 60, requests=60, output_spread=0.2) for level in (1, 64)]
    checked = 0
    for name, quantization, gpus_used in itertools.product(MODELS, (None, "fp8", "awq"), (1, 2, 8)):
        card, facts = gpu(family), model(name)
        assert card is not None
        assert facts is not None
        if facts.heads % gpus_used:
            continue
        settings = EngineSettings(
            tensor_parallel=gpus_used, max_model_len=4096, quantization=quantization, dtype="half"
        )
        found = forecast_cell(facts, card, settings, gpu_count=gpus_used, loads=loads)
        for level in found.levels:
            ceiling = ceiling_tok_s(facts, card, settings, concurrency=level.load.level)
            assert 0 < level.output_throughput < ceiling, (name, quantization, gpus_used, level.load)
            assert level.tpot_s.p50 is not None
            assert level.tpot_s.p50 > floor_tpot_s(facts, card, settings)
            checked += 1
    assert checked >= 10
