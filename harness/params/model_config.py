"""What a checkpoint's ``config.json`` says that the engine's start-up checks look at. Pure.

Only what the file says is known: a value that the engine would take from a model class's own defaults is None here.
Names that model families use for the same thing (``n_head``, ``n_positions``) are read as the engine reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.forecast.config_json import NotCovered
    from harness.forecast.models import ModelFacts

Json = Mapping[str, object]

TEXT_PARTS = ("text_config", "llm_config", "language_config", "decoder")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
KV_HEADS = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num")
EXPERTS = ("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts")
LENGTHS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_target_positions",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
MLA_TYPES = {
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_mtp", "kimi_k2", "kimi_linear", "longcat_flash",
    "pangu_ultra_moe", "pangu_ultra_moe_mtp", "glm4_moe_lite", "glm4_moe_lite_mtp",
}  # fmt: skip
UNSCALED_ROPE = {"su", "longrope", "llama3"}
LAYER_KINDS = {
    "full_attention", "sliding_attention", "chunked_attention", "linear_attention", "sparse", "dense", "moe", "mamba",
    "attention", "hybrid",
}  # fmt: skip
# Families whose class has a sliding window only when ``use_sliding_window`` says so.
OPT_IN_WINDOW = ("qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class Quantization:
    """The checkpoint's quantization: ``method`` as the engine names it (None when the file does not say)."""

    method: str | None
    settings: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True)  # no slots: what is worked out of the file is kept beside the fields
class ModelConfig:
    """Facts of one ``config.json``; None where the file does not tell.

    ``experts`` is 0 for a dense model. ``max_length`` is the longest sequence the engine allows (tokens, RoPE scaling
    included) and ``max_length_key`` the key it comes from; ``default_length`` is what it takes when nothing is asked.
    ``sliding_window`` is None when there is none. ``dtype`` is the checkpoint's, ``float32`` when it names none.
    """

    architectures: tuple[str, ...]
    model_type: str | None
    text_model_type: str | None
    heads: int | None
    kv_heads: int | None
    experts: int
    mla: bool
    vocab_size: int | None
    dtype: str
    quantization: Quantization | None
    max_length: float | None
    max_length_key: str | None
    model_max_length: int | None
    default_length: int | None
    sliding_window: int | None
    encoder_decoder: bool
    n_predict: int | None
    source: Json = field(repr=False, compare=False, default_factory=dict)

    @cached_property
    def shape(self) -> ModelFacts | NotCovered:
        """What the forecast's equations need of the model, or why they say nothing about it."""
        # Here, so that a list without a GPU is linted without loading the arithmetic.
        from harness.forecast.config_json import from_config

        return from_config(self.source)

    @classmethod
    def from_json(cls, document: Json) -> ModelConfig:
        """The facts of a decoded ``config.json``. Odd values count as absent; nothing raises."""
        text = text_part(document)
        heads = first_integer(text, HEADS)
        longest, key = longest_sequence(text)
        scaled = scaled_length(text, longest)
        return cls(
            architectures=names(document.get("architectures")),
            model_type=word(document.get("model_type")),
            text_model_type=word(text.get("model_type")),
            heads=heads,
            kv_heads=key_value_heads(text, heads),
            experts=expert_count(text),
            mla=word(text.get("model_type")) in MLA_TYPES and text.get("kv_lora_rank") is not None,
            vocab_size=integer(text.get("vocab_size")),
            dtype=checkpoint_dtype(document, text),
            quantization=checkpoint_quantization(document, text),
            max_length=scaled,
            max_length_key=key,
            model_max_length=integer(text.get("model_max_length")),
            default_length=default_length(text, scaled),
            sliding_window=window(text),
            encoder_decoder=document.get("is_encoder_decoder") is True,
            n_predict=integer(text.get("num_nextn_predict_layers")),
            source=document,
        )

    def with_overrides(self, overrides: Json) -> ModelConfig:
        """The facts after ``--hf-overrides``: plain values replace before the file is read, tables afterwards.

        A ``rope_scaling`` table comes too late to count, a ``rope_parameters`` table does count.
        """
        merged: dict[str, object] = dict(self.source)
        for key, value in overrides.items():
            if key == "rope_scaling" and isinstance(value, Mapping):
                continue
            if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key in TEXT_PARTS:
                merged[key] = {**merged[key], **value}  # type: ignore[dict-item]  # both are mappings, just checked
            else:
                merged[key] = value
        return ModelConfig.from_json(merged)


def text_part(document: Json) -> Json:
    """The part that describes the language model; the whole document for a text-only one."""
    thinker = document.get("thinker_config")
    if isinstance(thinker, Mapping):
        document = thinker
    for key in TEXT_PARTS:
        part = document.get(key)
        if isinstance(part, Mapping) and part:
            return part
    return document


def key_value_heads(text: Json, heads: int | None) -> int | None:
    """As the engine counts them: the families' own keys, one for multi-query attention, else as many as heads."""
    falcon = word(text.get("model_type")) in {"falcon", "RefinedWeb", "RefinedWebModel"}
    if falcon and text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    attention = text.get("attn_config")
    if word(text.get("model_type")) in {"mpt", "dbrx"} and isinstance(attention, Mapping):
        return integer(attention.get("kv_n_heads")) or heads
    found = first_integer(text, KV_HEADS)
    return heads if found is None else found


def expert_count(text: Json) -> int:
    """Routed experts per layer, 0 for a dense model."""
    for key in EXPERTS:
        value = text.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if value is not None:
            return integer(value) or 0
    return 0


def longest_sequence(text: Json) -> tuple[int | None, str | None]:
    """The smallest of the known length keys and its name; ``model_max_length`` beats them all."""
    found = [(value, key) for key in LENGTHS if (value := integer(text.get(key))) is not None]
    if declared := integer(text.get("model_max_length")):
        return declared, "model_max_length"
    if not found:
        return None, None
    shortest = min(value for value, _ in found)
    return shortest, next(key for value, key in found if value == shortest)


def rope_tables(text: Json) -> list[Json]:
    """The RoPE settings, one table or one per kind of layer."""
    rope = text.get("rope_parameters")
    legacy = text.get("rope_scaling")
    if isinstance(legacy, Mapping) and not isinstance(rope, Mapping):
        rope = legacy
    if not isinstance(rope, Mapping) or not rope:
        return []
    if set(rope) <= LAYER_KINDS:
        return [table for table in rope.values() if isinstance(table, Mapping)]
    return [rope]


def rope_kind(table: Json) -> str:
    """``rope_type`` with the older spelling of the key."""
    return str(table.get("rope_type", table.get("type", "default")))


def scaled_length(text: Json, longest: int | None) -> float | None:
    """The longest sequence after RoPE scaling; Gemma 3 states its length already scaled."""
    if longest is None:
        return None
    length: float = longest
    if "gemma3" in str(text.get("model_type", "")):
        return length
    factor = 1.0
    for table in rope_tables(text):
        if rope_kind(table) in UNSCALED_ROPE:
            continue
        factor = number(table.get("factor")) or factor
        if rope_kind(table) == "yarn":
            original = integer(text.get("original_max_position_embeddings")) or integer(
                table.get("original_max_position_embeddings")
            )
            if original is None:
                return None
            length = original
    return length * factor


def default_length(text: Json, scaled: float | None) -> int | None:
    """The length the engine serves when none is asked for: LongRoPE models start at their original one."""
    if any(rope_kind(table) in {"longrope", "su"} for table in rope_tables(text)):
        original = integer(text.get("original_max_position_embeddings"))
        if original is not None:
            return original
    return None if scaled is None else int(scaled)


def window(text: Json) -> int | None:
    """The sliding window of attention in tokens, if the model has one."""
    if (
        str(text.get("model_type", "")).startswith(OPT_IN_WINDOW)
        and text.get("use_sliding_window") is not True
    ):
        return None
    return integer(text.get("sliding_window"))


def checkpoint_dtype(document: Json, text: Json) -> str:
    """``bfloat16``, ``float16`` or ``float32``; the engine assumes the last when no part of the file names one."""
    parts = [document, text, document.get("vision_config"), document.get("encoder_config")]
    for part in parts:
        if isinstance(part, Mapping):
            value = part.get("dtype", part.get("torch_dtype"))
            if isinstance(value, str) and value != "auto":
                return value.removeprefix("torch.")
    return "float32"


def checkpoint_quantization(document: Json, text: Json) -> Quantization | None:
    """The quantization the checkpoint was made with, under the engine's name for it."""
    for part in (document, text):
        settings = part.get("quantization_config", part.get("compression_config"))
        if isinstance(settings, Mapping):
            method = settings.get("quant_method")
            producer = settings.get("producer")
            if isinstance(producer, Mapping) and producer.get("name") == "modelopt":
                inner = settings.get("quantization")
                algorithm = str(inner.get("quant_algo", "")).upper() if isinstance(inner, Mapping) else ""
                method = "modelopt_fp4" if algorithm == "NVFP4" else "modelopt"
            name = (
                method.lower().replace("compressed_tensors", "compressed-tensors")
                if isinstance(method, str)
                else None
            )
            return Quantization(name or None, settings)
    return None


def integer(value: object) -> int | None:
    """The value if it is a whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: object) -> float | None:
    """The value if it is a number, else None."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def first_integer(table: Json, keys: tuple[str, ...]) -> int | None:
    """The first of the keys that holds a whole number."""
    return next((value for key in keys if (value := integer(table.get(key))) is not None), None)


def names(value: object) -> tuple[str, ...]:
    """The strings of a JSON list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def word(value: object) -> str | None:
    """The value if it is a string, else None."""
    return value if isinstance(value, str) else None
