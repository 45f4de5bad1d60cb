"""The ceiling is above every forecast and every published measurement, and not by much where one stream runs."""

from __future__ import annotations

import pytest

from harness.forecast.published import measurements
from harness.forecast.roofline import ceiling_tok_s, floor_tpot_s
from harness.forecast.settings import EngineSettings, Speculation
from harness.forecast.tables import gpu, model


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
