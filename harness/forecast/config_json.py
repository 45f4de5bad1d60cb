"""A model's shape from its ``config.json``, or why the equations do not hold for it. Pure.

Covered: decoder-only transformers, dense or mixture of experts, with multi-head or grouped-query attention, sliding
windows and the usual quantisations. Latent attention (MLA), state-space and linear-attention layers, encoders and
multimodal towers have other memory and other kernels: they are refused with the reason, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.forecast.models import ModelFacts


@dataclass(frozen=True, slots=True)
class NotCovered:
    """Why the equations say nothing about a model; ``reason`` is one lower-case clause."""

    reason: str


_REFUSED_KEYS = {
    "kv_lora_rank": "latent attention (MLA) stores its cache another way",
    "vision_config": "a vision tower is outside the equations",
    "vision_tower": "a vision tower is outside the equations",
    "img_processor": "a vision tower is outside the equations",
    "audio_config": "an audio tower is outside the equations",
    "audio_processor": "an audio tower is outside the equations",
    "text_config": "a model of several parts is outside the equations",
    "state_size": "state-space layers keep no KV cache",
    "ssm_state_size": "state-space layers keep no KV cache",
    "ssm_cfg": "state-space layers keep no KV cache",
    "hybrid_override_pattern": "state-space layers keep no KV cache",
    "linear_num_key_heads": "linear-attention layers keep no KV cache",
    "linear_attn_config": "linear-attention layers keep no KV cache",
    "lru_width": "recurrent layers keep no KV cache",
    "conv_L_cache": "convolution layers keep no KV cache",
    "first_k_dense_replace": "a model with dense and expert layers mixed is outside the equations",
    "n_routed_experts": "a model with dense and expert layers mixed is outside the equations",
    "moe_num_experts": "a model with dense and expert layers mixed is outside the equations",
    "mlp_only_layers": "a model with dense and expert layers mixed is outside the equations",
    "is_encoder_decoder": "an encoder-decoder model is outside the equations",
}
_STATE_SPACE_PREFIX = "mamba_"
_DECODERS = ("ForCausalLM", "LMHeadModel")
_SHAPE_KEYS = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
_FOUR_BIT = {"awq", "gptq", "mxfp4", "bitsandbytes"}
# Two matrices a feed-forward layer where the equations count three (gate, up, down).
_NOT_GATED = {
    "bloom", "codegen", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "mpt", "nemotron", "opt", "persimmon",
    "phi", "starcoder2",
}  # fmt: skip
# Files of these types leave tie_word_embeddings out when it is true; all others when it is false.
_TIED_UNLESS_SAID = {"cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "smollm3"}
# Every n-th layer sees all tokens, where the file has no layer_types.
_FULL_EVERY = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4}


def from_config(config: Mapping[str, object], *, name: str = "config.json") -> ModelFacts | NotCovered:
    """Facts from a parsed Hugging Face ``config.json``, or why there are none."""
    refused = _refusal(config)
    if refused is not None:
        return refused
    layers = _integer(config, "num_hidden_layers")
    heads = _integer(config, "num_attention_heads")
    hidden = _integer(config, "hidden_size")
    experts = _experts(config)
    ffn = _integer(config, "intermediate_size")
    window, windowed = _sliding(config, layers)
    method, bits = _quantization(config.get("quantization_config"))
    dtype = config.get("dtype") or config.get("torch_dtype")
    return ModelFacts(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_integer(config, "num_key_value_heads") or heads,
        head_dim=_integer(config, "head_dim") or hidden // heads,
        ffn=ffn,
        vocab=_integer(config, "vocab_size"),
        max_position=_integer(config, "max_position_embeddings") or 2048,
        tied=bool(config.get("tie_word_embeddings", _model_type(config) in _TIED_UNLESS_SAID)),
        experts=experts,
        experts_per_token=_integer(config, "num_experts_per_tok") if experts else 0,
        expert_ffn=(_integer(config, "moe_intermediate_size") or ffn) if experts else 0,
        shared_expert_ffn=_shared_expert_ffn(config) if experts else 0,
        sliding_window=window,
        sliding_layers=windowed,
        quantization=method,
        weight_bits=bits,
        dtype=dtype if isinstance(dtype, str) else "bfloat16",
    )


def _refusal(config: Mapping[str, object]) -> NotCovered | None:
    """The first reason why the equations do not hold for this configuration; None when they do."""
    for key, reason in _REFUSED_KEYS.items():
        if config.get(key) not in (None, False, 0, [], ()):
            return NotCovered(reason)
    if any(key.startswith(_STATE_SPACE_PREFIX) and value is not None for key, value in config.items()):
        return NotCovered("state-space layers keep no KV cache")
    architectures = config.get("architectures")
    if isinstance(architectures, list | tuple) and architectures:
        named = str(architectures[0])
        if not named.endswith(_DECODERS):
            return NotCovered(f"{named} is no decoder that generates text")
    return _layer_refusal(config) or _shape_refusal(config)


def _layer_refusal(config: Mapping[str, object]) -> NotCovered | None:
    """Layers of other kinds than attention with a gated feed-forward behind it."""
    types = config.get("layer_types")
    if isinstance(types, list | tuple):
        strange = sorted({str(kind) for kind in types} - {"full_attention", "sliding_attention"})
        if strange:
            return NotCovered(f"layers of type {', '.join(strange)} are outside the equations")
    attention = config.get("attn_type_list")
    if isinstance(attention, list | tuple) and any(kind != 1 for kind in attention):
        return NotCovered("linear-attention layers keep no KV cache")
    if _model_type(config) in _NOT_GATED:
        return NotCovered("feed-forward layers without a gate are outside the equations")
    if _integer(config, "decoder_sparse_step") > 1:
        return NotCovered("a model with dense and expert layers mixed is outside the equations")
    return None


def _shape_refusal(config: Mapping[str, object]) -> NotCovered | None:
    """A size that the file does not give."""
    for key in _SHAPE_KEYS:
        if _integer(config, key) <= 0:
            return NotCovered(f"the configuration does not give {key}")
    if isinstance(config.get("num_experts"), list | tuple):
        return NotCovered("layers with different numbers of experts are outside the equations")
    if _experts(config) and not _integer(config, "num_experts_per_tok"):
        return NotCovered("the configuration does not give num_experts_per_tok")
    if not _integer(config, "intermediate_size") and not _integer(config, "moe_intermediate_size"):
        return NotCovered("the configuration does not give intermediate_size")
    return None


def _experts(config: Mapping[str, object]) -> int:
    """How many experts a layer has; 0 for a dense model, which some files write as one expert."""
    experts = _integer(config, "num_experts") or _integer(config, "num_local_experts")
    return experts if experts > 1 else 0


def _shared_expert_ffn(config: Mapping[str, object]) -> int:
    return _integer(config, "shared_expert_intermediate_size") or _integer(config, "shared_intermediate_size")


def _model_type(config: Mapping[str, object]) -> str:
    return str(config.get("model_type", ""))


def _integer(config: Mapping[str, object], key: str) -> int:
    """The integer under a key, 0 where it is absent, null or something else."""
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _sliding(config: Mapping[str, object], layers: int) -> tuple[int | None, int]:
    """Window and number of layers that have it; a window that is switched off does not count."""
    window = _integer(config, "sliding_window")
    if not window or config.get("use_sliding_window") is False:
        return None, 0
    types = config.get("layer_types")
    every = _integer(config, "sliding_window_pattern") or _FULL_EVERY.get(_model_type(config), 0)
    if isinstance(types, list | tuple):
        windowed = sum(1 for kind in types if kind == "sliding_attention")
    elif config.get("use_sliding_window") is True and "max_window_layers" in config:
        windowed = max(0, layers - _integer(config, "max_window_layers"))
    else:
        windowed = layers - layers // every if every else layers
    return (window, windowed) if windowed else (None, 0)


def _quantization(declared: object) -> tuple[str | None, int | None]:
    """Method and bits per weight from ``quantization_config``."""
    if not isinstance(declared, Mapping) or not isinstance(declared.get("quant_method"), str):
        return None, None
    method = str(declared["quant_method"]).lower()
    bits = declared.get("bits")
    if isinstance(bits, int):
        return method, bits
    if declared.get("load_in_8bit") is True:
        return method, 8
    groups = declared.get("config_groups")
    if isinstance(groups, Mapping):
        for group in groups.values():
            weights = group.get("weights") if isinstance(group, Mapping) else None
            if isinstance(weights, Mapping) and isinstance(weights.get("num_bits"), int):
                return method, int(weights["num_bits"])
    return method, 4 if method in _FOUR_BIT else 8
