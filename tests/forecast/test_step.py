"""Step times against sums worked by hand, and leaps against single steps."""

from __future__ import annotations

import itertools

import pytest

from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, Speculation
from harness.forecast.step import Batch, Constants, StepModel
from harness.forecast.tables import gpu, link, model

IDEAL = Constants(compute_share=1.0, memory_share=1.0, host_s=0.0, link_share=1.0)


def steps(
    family: str = "gpua5000",
    name: str = "llama3-8b",
    *,
    constants: Constants | None = None,
    **settings: object,
) -> StepModel:
    card, facts = gpu(family), model(name)
    assert card is not None
    assert facts is not None
    chosen = EngineSettings(**settings)  # type: ignore[arg-type]  # test input
    between = link(card.link, chosen.tensor_parallel) if chosen.tensor_parallel > 1 else None
    return StepModel(facts, card, chosen, link=between, constants=constants)


def test_one_decode_reads_every_weight_once() -> None:
    # Llama-8B, A5000 at 768 GB/s: 6.979e9 weights of 2 bytes take 18.175 ms; the head's 128256 x 4096 x 2 bytes
    # 1.368 ms; both overlap little computation. 32 layers launch in 0.384 ms.
    terms = steps(constants=IDEAL).terms(Batch(tokens=1, samples=1, decodes=1))
    assert terms.linear == pytest.approx(6.979e9 * 2 / 768e9, rel=1e-3)
    assert terms.head == pytest.approx(128256 * 4096 * 2 / 768e9, rel=1e-3)
    assert terms.launch == pytest.approx(32 * 12e-6)
    assert not terms.linear_is_compute


def test_a_long_prompt_is_bound_by_computation() -> None:
    # 2048 tokens x 2 x 6.979e9 / 111.1e12 FLOP/s = 257.3 ms, far above the 18.2 ms of reading.
    terms = steps(constants=IDEAL).terms(Batch(tokens=2048, samples=1, prompt_products=2048**2 / 2))
    assert terms.linear == pytest.approx(2 * 6.979e9 * 2048 / 111.1e12, rel=2e-3)
    # 4 x 32 heads x 128 x 32 layers x 2048^2/2 / (111.1e12 x 0.8) = 12.37 ms.
    assert terms.attention == pytest.approx(4 * 32 * 128 * 32 * 2048**2 / 2 / (111.1e12 * 0.8), rel=1e-6)
    assert terms.linear_is_compute


def test_cache_reads_cost_128_kib_per_token_of_context() -> None:
    model_steps = steps(constants=IDEAL)
    short = model_steps.terms(Batch(8, 8, 8, decode_context=0.0))
    long = model_steps.terms(Batch(8, 8, 8, decode_context=10_000.0))
    assert long.cache - short.cache == pytest.approx(10_000 * 131072 / 768e9)


def test_decodes_beside_a_prompt_chunk_read_their_cache_three_times_slower_except_with_fp8_cache() -> None:
    mixed, alone = Batch(508, 9, 8, 8000.0), Batch(8, 8, 8, 8000.0)
    plain = steps(constants=IDEAL)
    assert plain.terms(mixed).cache == pytest.approx(3 * plain.terms(alone).cache)
    flashinfer = steps(constants=IDEAL, kv_cache_dtype="fp8")
    assert flashinfer.terms(mixed).cache == pytest.approx(flashinfer.terms(alone).cache)
    hopper = steps("h100", constants=IDEAL)
    assert hopper.terms(mixed).cache == pytest.approx(hopper.terms(alone).cache)


def test_two_gpus_halve_the_reading_and_pay_an_all_reduce_twice_a_layer() -> None:
    # PCIe 4, two GPUs: 65 x (9 us + 1 x 4096 x 2 bytes / 9.4 GB/s) = 641.6 us.
    one, two = steps(constants=IDEAL), steps(constants=IDEAL, tensor_parallel=2)
    batch = Batch(1, 1, 1)
    assert two.terms(batch).linear == pytest.approx(one.terms(batch).linear / 2)
    assert two.terms(batch).link == pytest.approx(65 * (9e-6 + 8192 / 9.4e9))


def test_a_synchronous_scheduler_adds_the_host_and_an_asynchronous_one_hides_it() -> None:
    batch = Batch(4, 4, 4, 4000.0)
    for version, hidden in (("0.12.0", False), ("0.15.1", True)):
        timed = steps(engine_version=version)
        terms = timed.terms(batch)
        expected = max(terms.gpu, terms.host) + 0.3e-3 if hidden else terms.gpu + terms.host
        assert timed.seconds(batch) == pytest.approx(expected)


def test_experts_are_read_only_when_a_token_picks_them() -> None:
    facts = ModelFacts("moe", 1, 64, 1, 1, 64, 0, 100, 1000, experts=8, experts_per_token=2, expert_ffn=128)
    card = gpu("gpu3")
    assert card is not None
    moe = StepModel(facts, card, EngineSettings(), constants=IDEAL)
    shared = facts.shared_parameters
    expert = 3 * 64 * 128
    # One token picks 2 of 8; 100 tokens leave an expert out with (6/8)^100.
    assert moe.terms(Batch(1, 1, 1)).linear == pytest.approx((shared + 2 * expert) * 2 / 696e9, rel=1e-2)
    assert moe.terms(Batch(100, 1, 1)).linear == pytest.approx((shared + 8 * expert) * 2 / 696e9, rel=1e-2)


def test_speculation_checks_its_drafts_and_pays_for_a_draft_layer() -> None:
    eagle = steps(constants=IDEAL, speculation=Speculation("eagle", 3, 0.7))
    assert eagle.tokens_per_sequence == 4
    # 3 x (one of 32 layers' 6.979e9 x 2 bytes / 768 GB/s + 0.3 ms).
    assert eagle.terms(Batch(4, 4, 1)).draft == pytest.approx(
        3 * (6.979e9 * 2 / 32 / 768e9 + 0.3e-3), rel=1e-3
    )
    assert Speculation("ngram", 3, 0.5).expected_tokens == pytest.approx(1.875)


@pytest.mark.parametrize("version", ["0.12.0", "0.15.1"])
@pytest.mark.parametrize(("family", "name"), [("gpua5000", "llama3-8b"), ("h100", "qwen2.5-0.5b")])
def test_a_leap_takes_as_long_as_its_steps(version: str, family: str, name: str) -> None:
    timed = steps(family, name, engine_version=version)
    checked = 0
    for decodes, context, limit in itertools.product((1, 7, 256), (0, 50_000), (1, 2, 17, 1000)):
        batches = [Batch(decodes, decodes, decodes, context + decodes * i) for i in range(limit)]
        each = [timed.seconds(batch) for batch in batches]
        taken, seconds = timed.decode_run(
            decodes=decodes, context=context, limit=limit, horizon_s=float("inf")
        )
        assert taken == limit
        assert seconds == pytest.approx(sum(each), rel=1e-9)
        horizon = sum(each[: limit // 2 + 1]) - each[limit // 2] / 2
        taken, _ = timed.decode_run(decodes=decodes, context=context, limit=limit, horizon_s=horizon)
        assert taken == limit // 2 + 1
        checked += 1
    assert checked == 24
