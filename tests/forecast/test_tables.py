"""The packaged tables: models by their names, GPUs and links."""

from __future__ import annotations

import pytest

from harness.forecast.tables import gpu, gpus, link, model, models, rows


def test_parameter_counts_match_the_published_ones() -> None:
    published = {row["key"]: int(row["parameters"]) for row in rows("models.csv")}
    assert len(published) == 12
    for name, facts in models().items():
        assert facts.linear_parameters + facts.embedding_parameters == pytest.approx(
            published[name], rel=0.01
        )


@pytest.mark.parametrize(
    "name",
    ["meta-llama/Llama-3.1-8B-Instruct", "META-LLAMA/llama-3.1-8b-instruct", "someone/Llama-3.1-8B-Instruct"],
)
def test_models_are_found_by_their_hub_id_whatever_the_case_or_owner(name: str) -> None:
    found = model(name)
    assert found is not None
    assert found.layers == 32
    assert model("nobody/nothing") is None


def test_every_gpu_has_a_link_and_exoscales_are_marked() -> None:
    assert {name for name, card in gpus().items() if card.on_exoscale} >= {
        "gpu3080ti", "gpua5000", "gpu3", "gpurtx6000pro",
    }  # fmt: skip
    assert len(gpus()) == 16
    for card in gpus().values():
        assert link(card.link, 2).bandwidth > 0
    assert link("pcie4", 3) == link("pcie4", 4)
    assert gpu("gpub300") is None
