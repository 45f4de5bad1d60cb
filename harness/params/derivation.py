"""What the engine works out from an argument list, a model and a GPU before it checks them. Pure.

Each function follows one step of vLLM's ``EngineArgs.create_engine_config``; None stands for "not known from what is
given", and a check that needs it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from harness.params.engine_facts import EngineFacts, load_engine_facts
from harness.params.model_config import ModelConfig, longest_sequence, scaled_length, text_part
from harness.params.settings import Settings
from harness.units import GIB

if TYPE_CHECKING:
    from harness.forecast.hardware import Gpu
    from harness.params.engine_facts import Architecture

LARGE_GPU_BYTES = 70 * GIB
# Tokens per step when nothing is asked for.
LARGE_GPU_TOKENS = 8192
SMALL_GPU_TOKENS = 2048
NOT_FLOAT16 = {"gemma2", "gemma3", "gemma3_text", "plamo2", "glm4"}
DTYPE_NAMES = {"half": "float16", "float": "float32"}
# How a pooling model may look at the whole prompt at once, which leaves nothing to cut into chunks.
WHOLE_PROMPT_POOLING = ("CLS", "MEAN", "STEP", "ALL")
SUFFIX_RUNNERS = (
    ("ForCausalLM", "generate"), ("ForConditionalGeneration", "generate"), ("ChatModel", "generate"),
    ("LMHeadModel", "generate"), ("ForTextEncoding", "pooling"), ("EmbeddingModel", "pooling"),
    ("ForSequenceClassification", "pooling"), ("ForTokenClassification", "pooling"),
    ("ForAudioClassification", "pooling"), ("ForImageClassification", "pooling"),
    ("ForVideoClassification", "pooling"), ("ClassificationModel", "pooling"), ("ForRewardModeling", "pooling"),
    ("RewardModel", "pooling"), ("Model", "pooling"),
)  # fmt: skip


class Batch(NamedTuple):
    """Tokens per step and sequences at a time, as they will be; None where the GPU or the model decides."""

    tokens: int | None
    sequences: int | None


def facts(settings: Settings) -> EngineFacts:
    """The version's tables."""
    return load_engine_facts(settings.context.grammar.reference_version)


def gpu(settings: Settings) -> Gpu | None:
    """The GPU the list is to run on, if the family is known."""
    family = settings.context.gpu_type
    return None if family is None else _gpu_of(family)


@lru_cache(maxsize=256)
def _gpu_of(family: str) -> Gpu | None:
    # Here, so that a list without a GPU is linted without loading the tables.
    from harness.forecast.tables import gpu as gpu_of_family

    return gpu_of_family(family)


def model(settings: Settings) -> ModelConfig | None:
    """The model as the engine will see it, ``--hf-overrides`` applied; None when another file is read instead."""
    known = settings.context.model
    if known is None or settings.given("hf-config-path") is not None:
        return None
    if settings.text("config-format") not in (None, "auto", "hf"):
        return None
    overrides = settings.table("hf-overrides")
    return known.with_overrides(overrides) if overrides else known


def architecture(settings: Settings, known: ModelConfig) -> Architecture | None:
    """The engine's class for the model; None when it has none of its own or it was not looked at."""
    if (settings.text("model-impl") or "auto") not in {"auto", "vllm"}:
        return None
    table = facts(settings).architectures
    for name in known.architectures:
        if name in table:
            return table[name]
    if settings.text("convert") == "none":
        return None
    return next(
        (table[base] for name in known.architectures for base in adapted(name) if base in table), None
    )


def adapted(name: str) -> list[str]:
    """Classes the engine may adapt when it has none of this name: the same stem with another ending."""
    for suffix, _ in SUFFIX_RUNNERS:
        if name.endswith(suffix):
            return [name.removesuffix(suffix) + other for other, _ in SUFFIX_RUNNERS]
    return []


def runner(settings: Settings, known: ModelConfig) -> str | None:
    """``generate`` or ``pooling``; ``--task`` of old versions and unusual models are not followed."""
    if settings.given("task") is not None:
        return None
    asked = settings.text("runner")
    if asked in {"generate", "pooling", "draft"}:
        return asked
    table = facts(settings).architectures
    for name in known.architectures:
        found = table.get(name)
        if found is not None and (found.pools or found.generates):
            return "pooling" if found.pools else "generate"
        for suffix, kind in SUFFIX_RUNNERS:
            if name.endswith(suffix):
                return kind
    return None


def asked_length(settings: Settings) -> int | None:
    """``--max-model-len`` as a number of tokens; None when the engine chooses (``auto`` and -1 where it may)."""
    asked = settings.integer("max-model-len")
    return None if asked == -1 and settings.since("0.15.1") else asked


def longest_length(settings: Settings, known: ModelConfig) -> tuple[float, str] | None:
    """The longest sequence the model allows with these settings, and the configuration key it comes from."""
    longest, key = known.max_length, known.max_length_key
    if longest is None or key is None:
        return None
    window = known.sliding_window if settings.switch("disable-sliding-window") else None
    if window is None:
        return longest, key
    text = text_part(known.source)
    unscaled, _ = longest_sequence(text)
    if unscaled is None or window >= unscaled:
        return longest, key
    scaled = scaled_length(text, window)
    return None if scaled is None else (scaled, "sliding_window")


def max_model_len(settings: Settings) -> int | None:
    """The sequence length the engine will serve."""
    asked = asked_length(settings)
    if asked is not None:
        return asked
    known = model(settings)
    if known is None:
        return None
    longest = longest_length(settings, known)
    if longest is None or known.default_length is None:
        return None
    return min(int(longest[0]), known.default_length)


def chunked_prefill(settings: Settings) -> bool | None:
    """Whether prompts are cut into chunks: as asked, else what the kind of model supports."""
    known = model(settings)
    if known is not None and known.encoder_decoder:
        return False
    asked = settings.switch("enable-chunked-prefill")
    if asked is not None:
        return asked
    if known is None:
        return None
    pooler = settings.table("pooler-config")
    if pooler is not None:
        asked_pooling = pooler.get("pooling_type")
        whole = asked_pooling in WHOLE_PROMPT_POOLING and not (
            asked_pooling == "ALL" and settings.since("0.15.1")
        )
        return False if whole else None
    kind = runner(settings, known)
    if kind == "generate":
        return True
    found = architecture(settings, known)
    if kind != "pooling" or found is None:
        return None
    return found.pooling not in WHOLE_PROMPT_POOLING and found.attention == "decoder"


def prefix_caching(settings: Settings) -> bool | None:
    """Whether the engine keeps prefixes: as asked, else what the kind of model supports."""
    asked = settings.switch("enable-prefix-caching")
    if asked is not None:
        return asked
    known = model(settings)
    if known is None:
        return None
    if known.encoder_decoder:
        return False
    found = architecture(settings, known)
    if found is None:
        return None
    kind = runner(settings, known)
    if kind == "generate":
        return not (found.hybrid or found.attention_free)
    if kind != "pooling" or settings.table("pooler-config"):
        return None
    return found.pooling not in WHOLE_PROMPT_POOLING and found.attention == "decoder"


def batch(settings: Settings) -> Batch:
    """vLLM's defaults by GPU memory, and how the two limits clip one another when only one is given."""
    tokens = settings.integer("max-num-batched-tokens")
    sequences = settings.integer("max-num-seqs")
    if tokens is not None and sequences is not None:
        return Batch(tokens, sequences)
    card = gpu(settings)
    if card is None:
        return Batch(tokens, sequences)
    large = card.vram_bytes >= LARGE_GPU_BYTES and "a100" not in card.name.lower()
    wanted = sequences if sequences is not None else 1024 if large else 256
    if tokens is None:
        tokens = default_tokens(
            settings, sequences=wanted, default=LARGE_GPU_TOKENS if large else SMALL_GPU_TOKENS
        )
        if tokens is None:
            return Batch(None, sequences)
    return Batch(tokens, wanted if sequences is not None else min(wanted, tokens))


def default_tokens(settings: Settings, *, sequences: int, default: int) -> int | None:
    """Tokens per step when none are asked for; with an unknown length the most they can be, None when unbounded."""
    length = max_model_len(settings)
    chunked = chunked_prefill(settings)
    if chunked is None or (length is None and not chunked):
        return None
    if length is None:
        return default
    return min(sequences * length, default if chunked else max(length, default))


def dtype(settings: Settings, known: ModelConfig) -> str | None:
    """The type of the activations: ``bfloat16``, ``float16`` or ``float32``; None when the GPU decides."""
    asked = settings.text("dtype") or "auto"
    if asked != "auto":
        return DTYPE_NAMES.get(asked, asked)
    card = gpu(settings)
    if card is None:
        return None
    supported = (
        ["bfloat16", "float16", "float32"] if card.compute_capability >= 80 else ["float16", "float32"]
    )
    supported = [name for name in supported if name != "float16" or known.model_type not in NOT_FLOAT16]
    preferred = supported[0]
    if runner(settings, known) == "pooling" and "float16" in supported:
        preferred = "float16"
    if known.dtype == "float32":
        return preferred
    return known.dtype if known.dtype in supported else preferred


def world_size(settings: Settings) -> int:
    """GPUs one engine needs: tensor × pipeline × prefill-context parallel size."""
    return (
        settings.size("tensor-parallel-size")
        * settings.size("pipeline-parallel-size")
        * settings.size("prefill-context-parallel-size")
    )


def speculation(settings: Settings) -> Mapping[str, object] | None:
    """The speculative configuration if it was given as an object."""
    return settings.table("speculative-config")
