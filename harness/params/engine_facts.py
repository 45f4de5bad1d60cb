"""What an engine version's configuration code knows about quantization and model classes; read from package data.

``data/startup-<version>.json`` is written by ``tests/oracle/record_startup_facts.py`` from the engine's own registries.
Each file is read once, when first asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from harness.params.snapshots import DATA


class QuantizationMethod(NamedTuple):
    """One method of ``--quantization``.

    ``min_capability`` is ten times NVIDIA's, ``dtypes`` the activation types it computes in (None: not known), ``bare``
    is True when it works on a checkpoint that says nothing of quantization.
    """

    name: str
    deprecated: bool
    min_capability: int | None
    bare: bool
    dtypes: tuple[str, ...] | None


class Architecture(NamedTuple):
    """What the engine's model class can do. ``pooling`` is how it pools a sequence by default."""

    name: str
    generates: bool
    pools: bool
    multimodal: bool
    pipeline: bool
    hybrid: bool
    attention_free: bool
    cross_encoder: bool
    state_caching: bool
    pooling: str = "LAST"
    attention: str = "decoder"


class EngineFacts(NamedTuple):
    """One version's tables. An architecture that is listed but was not looked at has the value None.

    ``model_types`` are those that the engine and the Transformers library it comes with can read.
    """

    quantization: Mapping[str, QuantizationMethod]
    architectures: Mapping[str, Architecture | None]
    gone_architectures: tuple[str, ...]
    chat_templates: tuple[str, ...]
    attention_backends: tuple[str, ...]
    model_types: frozenset[str]


@cache
def load_engine_facts(version: str) -> EngineFacts:
    """The tables of a version that ships with the package; FileNotFoundError for another one."""
    text = (DATA / f"startup-{version}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return EngineFacts(
        quantization={name: _method(name, entry) for name, entry in document["quantization"].items()},
        architectures={name: _architecture(name, word) for name, word in document["architectures"].items()},
        gone_architectures=tuple(document["gone_architectures"]),
        chat_templates=tuple(document["chat_templates"]),
        attention_backends=tuple(document["attention_backends"]),
        model_types=frozenset(document["model_types"]),
    )


def _method(name: str, entry: Mapping[str, Any]) -> QuantizationMethod:
    dtypes = entry["dtypes"]
    return QuantizationMethod(
        name=name,
        deprecated=entry["deprecated"],
        min_capability=entry["min_capability"],
        bare=entry["bare"],
        dtypes=None if dtypes is None else tuple(dtypes),
    )


def _architecture(name: str, word: str) -> Architecture | None:
    if word == "?":
        return None
    letters, *notes = word.split(" ")
    return Architecture(
        name=name,
        generates="g" in letters,
        pools="p" in letters,
        multimodal="m" in letters,
        pipeline="l" in letters,
        hybrid="h" in letters,
        attention_free="f" in letters,
        cross_encoder="c" in letters,
        state_caching="s" in letters,
        pooling=next((note for note in notes if note.isupper()), "LAST"),
        attention=next((note for note in notes if note.islower()), "decoder"),
    )
