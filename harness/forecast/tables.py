"""The packaged tables: GPUs, links, models, published measurements. Reads package data; nothing else here does."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from harness.forecast.hardware import GIB, Gpu, Link
from harness.forecast.models import ModelFacts

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a packaged CSV file, every cell as text."""
    text = (DATA / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def gpus() -> dict[str, Gpu]:
    """Every GPU of the table by its family or short name."""
    found = {}
    for row in rows("gpus.csv"):
        found[row["key"]] = Gpu(
            family=row["key"],
            name=row["name"],
            vram_bytes=float(row["vram_driver_gib"]) * GIB,
            bandwidth=float(row["memory_bandwidth_bytes_per_s"]),
            flops=float(row["dense_f16_flops"]),
            fp8_flops=float(row["dense_fp8_flops"]),
            compute_capability=int(row["compute_capability"]),
            link=row["link"],
            on_exoscale=row["exoscale_family"] == "yes",
        )
    return found


def exoscale_gpus() -> dict[str, Gpu]:
    """Those of Exoscale's families."""
    return {family: card for family, card in gpus().items() if card.on_exoscale}


def gpu(family: str) -> Gpu | None:
    """The GPU of an Exoscale family or short name; None for one the table does not hold."""
    return gpus().get(family.strip().lower())


@cache
def _links() -> dict[tuple[str, int], Link]:
    return {
        (row["link"], int(row["gpus"])): Link(
            kind=row["link"],
            gpus=int(row["gpus"]),
            alpha_s=float(row["alpha_s"]),
            bandwidth=float(row["beta_bytes_per_s"]),
        )
        for row in rows("links.csv")
    }


def link(kind: str, gpus: int) -> Link:
    """The link class over that many GPUs; between the table's sizes the next larger one's figures hold."""
    sizes = sorted(size for name, size in _links() if name == kind)
    if not sizes:
        raise KeyError(f"no link class {kind!r}")
    size = next((size for size in sizes if size >= gpus), sizes[-1])
    return _links()[kind, size]


@cache
def models() -> dict[str, ModelFacts]:
    """Every model of the table by its short name, unquantised."""
    found = {}
    for row in rows("models.csv"):
        found[row["key"]] = ModelFacts(
            name=row["key"],
            layers=int(row["layers"]),
            hidden=int(row["hidden"]),
            heads=int(row["heads"]),
            kv_heads=int(row["kv_heads"]),
            head_dim=int(row["head_dim"]),
            ffn=int(row["ffn"]),
            vocab=int(row["vocab"]),
            max_position=int(row["max_position"]),
            tied=row["tied"] == "1",
            experts=int(row["experts"]),
            experts_per_token=int(row["experts_per_token"]),
            expert_ffn=int(row["expert_ffn"]),
        )
    return found


@cache
def _models_by_id() -> dict[str, ModelFacts]:
    found = {}
    for row in rows("model-ids.csv"):
        facts = models()[row["key"]].renamed(
            row["id"],
            quantization=row["quantization"] or None,
            weight_bits=int(row["weight_bits"]) if row["weight_bits"] else None,
            sliding_window=int(row["sliding_window"]) if row["sliding_window"] else None,
            sliding_layers=int(row["sliding_layers"] or 0),
        )
        found[row["id"].lower()] = facts
        found.setdefault(row["id"].lower().partition("/")[2], facts)
    return found


def model(name: str) -> ModelFacts | None:
    """The facts of a model by its Hugging Face id (case and owner do not matter) or short name, else None."""
    wanted = name.strip().lower()
    by_id = _models_by_id()
    return by_id.get(wanted) or models().get(wanted) or by_id.get(wanted.rpartition("/")[2])
