"""The speculative configuration cannot work as written.

It is an object with a method (or a draft model), a positive ``num_speculative_tokens`` and, for n-grams, a smallest
window that is not above the largest. Keys it does not know are dropped without a word.

Wrong::

    --speculative-config '{"method": "ngram"}'

Right::

    --speculative-config '{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import facts, model
from harness.params.lenient import integer_of, is_boolean
from harness.params.settings import Settings

CODE = "speculative-config"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("speculative-config",)
NGRAM = ("ngram", "[ngram]")
LEAST = {
    "num_speculative_tokens": 1, "draft_tensor_parallel_size": 1, "max_model_len": 1, "disable_by_batch_size": 2,
    "prompt_lookup_max": 1, "prompt_lookup_min": 1,
}  # fmt: skip
WITHOUT_NULL = {"num_speculative_tokens"}
EAGLE3_TARGETS = ("llama", "qwen", "minicpm", "gpt_oss")
MTP_TYPES = {
    "deepseek_v3",
    "deepseek_v32",
    "deepseek_mtp",
    "pangu_ultra_moe",
    "ernie4_5_moe",
    "qwen3_next",
    "longcat_flash",
}
MTP_TYPES_SINCE_0_15 = {"exaone_moe", "step3p5"}
MTP_ARCHITECTURES = {"MiMoForCausalLM", "Glm4MoeForCausalLM"}
MTP_ARCHITECTURES_SINCE_0_15 = {"Glm4MoeLiteForCausalLM"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, for the first thing vLLM stumbles over."""
    settings = Settings(context)
    value = settings.value("speculative-config")
    if value is None:
        return
    span = settings.span("speculative-config")
    if not isinstance(value, Mapping):
        message = "--speculative-config takes a JSON object"
        yield context.error(CODE, span, message, hint='{"method": "ngram", "num_speculative_tokens": 3}')
        return
    reason = field_refusal(settings, value) or method_refusal(settings, value)
    if reason is not None:
        yield context.error(CODE, span, reason)


def methods(settings: Settings) -> tuple[str, ...]:
    """The method names of the version."""
    return settings.context.registries.get("speculative_method", ())


def field_refusal(settings: Settings, table: Mapping[str, object]) -> str | None:
    """A key whose value is of the wrong type or too small."""
    for key, least in LEAST.items():
        if key not in table or (table[key] is None and key not in WITHOUT_NULL):
            continue
        number = integer_of(table[key])
        if number is None:
            return f"{key} is a whole number, not {table[key]!r}"
        if number < least:
            return f"{key} is at least {least}, not {number}"
    method = table.get("method")
    if method is not None and methods(settings) and method not in methods(settings):
        return f"there is no speculative method {method!r}"
    quantization = table.get("quantization")
    if quantization is not None and quantization not in tuple(facts(settings).quantization):
        return f"there is no quantization method {quantization!r}"
    if "disable_padded_drafter_batch" in table and not is_boolean(table["disable_padded_drafter_batch"]):
        return "disable_padded_drafter_batch is true or false"
    return None


def method_refusal(settings: Settings, table: Mapping[str, object]) -> str | None:
    """A method without what it needs."""
    method, draft, tokens = table.get("method"), table.get("model"), table.get("num_speculative_tokens")
    if table.get("tensor_parallel_size") is not None and settings.since("0.15.1"):
        return "tensor_parallel_size does not belong here: draft_tensor_parallel_size does"
    is_mtp = isinstance(method, str) and method.endswith("mtp")
    is_ngram = method in NGRAM or (method is None and draft in NGRAM)
    if method == "suffix":
        return "suffix decoding needs Arctic Inference, which vLLM does not bring with it"
    if tokens is None and (draft is None or is_ngram):
        return "num_speculative_tokens is missing"
    if draft is None and not is_mtp and not is_ngram:
        return (
            f"method '{method}' needs a draft model"
            if method
            else "neither a method nor a draft model is given"
        )
    if is_ngram:
        return window_refusal(table)
    if is_mtp and draft is None:
        return mtp_refusal(settings, table)
    if method == "draft_model" and not settings.since("0.15.1"):
        return f"vLLM {settings.context.version} cannot speculate with a draft model"
    known = model(settings)
    kind = None if known is None else known.text_model_type
    if method == "eagle3" and kind is not None and not any(name in kind for name in EAGLE3_TARGETS):
        return f"eagle3 does not work with models of type {kind}"
    return None


def window_refusal(table: Mapping[str, object]) -> str | None:
    """An n-gram window whose smallest size is above its largest."""
    smallest, largest = (
        integer_of(table.get("prompt_lookup_min")),
        integer_of(table.get("prompt_lookup_max")),
    )
    if smallest is None or largest is None or smallest <= largest:
        return None
    return f"prompt_lookup_min ({smallest}) is above prompt_lookup_max ({largest})"


def mtp_refusal(settings: Settings, table: Mapping[str, object]) -> str | None:
    """Multi-token prediction by the model's own extra layers: the model must have them."""
    known = model(settings)
    if known is None or known.model_type is None:
        return None
    late = settings.since("0.15.1")
    types = MTP_TYPES | MTP_TYPES_SINCE_0_15 if late else MTP_TYPES
    names = MTP_ARCHITECTURES | MTP_ARCHITECTURES_SINCE_0_15 if late else MTP_ARCHITECTURES
    if known.model_type not in types and not names & set(known.architectures):
        return f"models of type {known.model_type} have no layers for multi-token prediction"
    tokens = integer_of(table.get("num_speculative_tokens"))
    layers = known.n_predict
    if tokens is not None and layers and tokens > layers and tokens % layers:
        return f"num_speculative_tokens ({tokens}) is no multiple of the model's {layers} prediction layers"
    size, target = integer_of(table.get("draft_tensor_parallel_size")), settings.size("tensor-parallel-size")
    if size is not None and size not in (1, target):
        return f"draft_tensor_parallel_size is 1 or the tensor-parallel size ({target}), not {size}"
    return None
