"""A level taken over from another cell is, to the last bit, the one that a run of its own would have given."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest

from harness.forecast.cell import forecast_cell
from harness.forecast.known import LIMITING, KnownLevels
from harness.forecast.level import LevelForecast
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import EngineSettings, Speculation
from harness.forecast.tables import gpu, model
from harness.forecast.trace import Limits

# 160 prompt tokens and 33 answers, of which the last is never cached: 192 tokens, 12 blocks of 16, two at a time.
PAIR = Load(Arrivals.CLOSED, 2, 160, 33, requests=20)
BASE = EngineSettings(max_model_len=2048, num_gpu_blocks=1001)


def level(settings: EngineSettings, load: Load = PAIR, known: KnownLevels | None = None) -> LevelForecast:
    facts, card = model("llama3-8b"), gpu("gpurtx6000pro")
    assert facts is not None
    assert card is not None
    (found,) = forecast_cell(facts, card, settings, gpu_count=1, loads=(load,), known=known).levels
    return found


def figures(found: LevelForecast) -> dict[str, object]:
    """Every figure, comparable to the last bit."""
    each = {field.name: getattr(found, field.name) for field in fields(found)}
    return {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in each.items()}


LOADS = [
    Load(Arrivals.POISSON, 4, 500, 120, requests=80, input_sigma=0.6, output_sigma=0.6),
    Load(Arrivals.CLOSED, 6, 300, 60, requests=60, output_spread=0.3),
    Load(Arrivals.BURST, 0, 700, 40, requests=40, input_sigma=0.8),
    Load(Arrivals.POISSON, 3, 600, 60, requests=60, shared_prefix_tokens=320),
]


def drawn(rng: random.Random) -> EngineSettings:
    """Settings that often leave room and often do not; all that is LIMITING is drawn."""
    return replace(
        EngineSettings(),
        max_model_len=rng.choice([1024, 2048, 4096, 8192]),
        max_num_seqs=rng.choice([2, 6, 7, 16, 64, None]),
        max_num_batched_tokens=rng.choice([512, 2048, 8192, None]),
        gpu_memory_utilization=rng.choice([0.5, 0.9]),
        kv_cache_memory_bytes=rng.choice([None, None, 2 << 30]),
        num_gpu_blocks=rng.choice([None, 120, 230, 260, 300, 400, 2000]),
        cpu_offload_bytes=rng.choice([0.0, 2.0 * 2**30]),
        prefix_caching=rng.random() < 0.7,
        chunked_prefill=rng.random() < 0.8,
        speculation=rng.choice([None, None, Speculation("ngram", 2, 0.5)]),
    )


@pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load.arrivals}-{load.shared_prefix_tokens}")
def test_a_level_taken_over_is_the_one_of_an_own_run(load: Load) -> None:
    rng, known = random.Random(11), KnownLevels()
    facts, card = model("llama3-8b"), gpu("gpurtx6000pro")
    assert facts is not None
    assert card is not None
    asked = 0
    for _ in range(160):
        settings = drawn(rng)
        mine = forecast_cell(facts, card, settings, gpu_count=1, loads=(load,))
        if not mine.starts:
            continue
        asked += 1
        assert figures(level(settings, load, known)) == figures(mine.levels[0])
    assert asked > 60
    assert 10 < len(known) < asked - 10


def test_all_that_is_limiting_is_drawn() -> None:
    rng = random.Random(0)
    each = [drawn(rng) for _ in range(50)]
    assert {name for name in LIMITING if len({getattr(one, name) for one in each}) > 1} == set(LIMITING)


def test_limits_that_are_not_reached_take_one_run() -> None:
    known = KnownLevels()
    few = level(replace(BASE, max_num_seqs=3), known=known)
    many = level(replace(BASE, max_num_seqs=200, max_num_batched_tokens=4096), known=known)
    assert len(known) == 1
    assert many == few


@pytest.mark.parametrize(
    "changes",
    [
        {"max_num_seqs": 1},
        {"max_num_batched_tokens": 256},  # two prompts of 160 in the first iteration
        {"num_gpu_blocks": 20},
        {"max_model_len": 180},  # answers end after 20 tokens
        {"engine_version": "0.12.0"},
        {"enforce_eager": True},
    ],
)
def test_what_decides_something_takes_a_run_of_its_own(changes: dict[str, object]) -> None:
    known = KnownLevels()
    base = level(BASE, known=known)
    other = level(replace(BASE, **changes), known=known)  # type: ignore[arg-type]  # test input
    assert len(known) == 2
    assert (other.output_throughput, other.itl_s) != (base.output_throughput, base.itl_s)


def test_the_share_of_the_cache_is_of_the_cells_own_blocks() -> None:
    known = KnownLevels()
    large, small = (level(replace(BASE, num_gpu_blocks=count), known=known) for count in (1001, 501))
    assert len(known) == 1
    # One block is never given out; the two requests never hold more than 12 each.
    assert large.kv_share * 1000 == small.kv_share * 500
    assert 0 < small.kv_share <= 24 / 500


def test_a_shared_prefix_is_run_for_every_size_of_the_cache() -> None:
    known, shared = KnownLevels(), replace(PAIR, shared_prefix_tokens=96)
    for count in (1001, 501):
        level(replace(BASE, num_gpu_blocks=count), shared, known)
    assert len(known) == 2


@pytest.mark.parametrize(
    ("theirs", "alike"),
    [
        ((8, 100, 100, 100), True),
        ((5, 100, 100, 100), True),  # 5 are enough, and the run had 8
        ((4, 100, 100, 100), False),
        ((8, 200, 100, 100), False),  # enough would have been 101: the run came to its limit of 100
        ((8, 100, 100, 99), True),
        ((8, 100, 100, 49), False),
    ],
)
def test_limits_serve_alike_when_they_are_the_same_or_both_enough(
    theirs: tuple[float, ...], alike: bool
) -> None:
    ours, enough = Limits(8, 100, 100, 100), Limits(5, 101, 90, 50)
    assert ours.serve_alike(Limits(*theirs), enough=enough) is alike
