"""Will the engine start? The first check that fails, in vLLM's order and with its own message. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from harness.forecast.hardware import GIB, Gpu
from harness.forecast.memory import MemoryPlan, plan_memory, request_kv_bytes, weight_format
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, ResolvedSettings, version_tuple

CONTEXT_BYTES = 0.3 * GIB
# What graphs and the warm-up need beyond the budget's own reserve for the driver's context.
GRAPH_BYTES = 0.55 * GIB
BF16_CAPABILITY = 80
QUANTISED_CAPABILITY = 75
_DOCS = "https://docs.vllm.ai/en/latest/configuration/conserving_memory/"


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why the engine exits. ``code`` is ours and stable, ``message`` the engine's last line, verbatim.

    ``wrapper`` is True when the failure happens in a worker: the API server then adds its own last line.
    """

    code: str
    message: str
    wrapper: bool = True


def start_failure(
    model: ModelFacts, gpu: Gpu, gpu_count: int, settings: EngineSettings
) -> StartFailure | None:
    """The first start-up check that fails on ``gpu_count`` GPUs, or None when the engine comes up."""
    chosen = settings.resolve(model, gpu)
    for failure in (
        _configuration(model, gpu, settings, chosen),
        _parallelism(model, gpu_count, settings),
        _token_budget(settings, chosen),
    ):
        if failure is not None:
            return failure
    plan = plan_memory(model, gpu, settings)
    return _memory(model, settings, chosen, plan)


def _configuration(
    model: ModelFacts, gpu: Gpu, settings: EngineSettings, chosen: ResolvedSettings
) -> StartFailure | None:
    if settings.max_model_len is not None and settings.max_model_len > model.max_position:
        return StartFailure(
            "max-model-len-too-large",
            f"User-specified max_model_len ({settings.max_model_len}) is greater than the derived max_model_len "
            f"(max_position_embeddings={model.max_position}.0 or model_max_length=None in model's config.json). "
            "To allow overriding this maximum, set the env var VLLM_ALLOW_LONG_MAX_MODEL_LEN=1.",
            wrapper=False,
        )
    capability = gpu.compute_capability
    if weight_format(model, gpu, quantization=settings.quantization).is_quantised:
        least = 80 if version_tuple(settings.engine_version) < (0, 15) else QUANTISED_CAPABILITY
        method = settings.quantization or model.quantization
        if capability < least and method == "fp8":
            return StartFailure(
                "quantization-capability",
                f"The quantization method {method} is not supported for the current GPU. "
                f"Minimum capability: {least}. Current capability: {capability}.",
                wrapper=False,
            )
    wanted = model.dtype if settings.dtype == "auto" else settings.dtype
    # Asked for by name, bfloat16 is refused; found in the model's file, vLLM falls back to float16 by itself.
    if capability < BF16_CAPABILITY and wanted == "bfloat16" and settings.dtype == "bfloat16":
        return StartFailure(
            "dtype-capability",
            "Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
            f"Your {gpu.name} GPU has compute capability {capability // 10}.{capability % 10}. You can use float16 "
            "instead by explicitly setting the `dtype` flag in CLI, for example: --dtype=half.",
        )
    return None


def _parallelism(model: ModelFacts, gpu_count: int, settings: EngineSettings) -> StartFailure | None:
    world = settings.tensor_parallel * settings.pipeline_parallel
    if world > gpu_count:
        message = (
            f"World size ({world}) is larger than the number of available GPUs ({gpu_count}) in this node. "
            "If this is intentional and you are using:\n- ray, set '--distributed-executor-backend ray'.\n"
            "- multiprocessing, set '--nnodes' appropriately."
        )
        if version_tuple(settings.engine_version) < (0, 13):
            message = f"Tensor parallel size ({world}) cannot be larger than the number of available GPUs "
            message += f"({gpu_count})."
        return StartFailure("world-size", message, wrapper=False)
    if model.heads % settings.tensor_parallel:
        return StartFailure(
            "heads-divisible",
            f"Total number of attention heads ({model.heads}) must be divisible by tensor parallel size "
            f"({settings.tensor_parallel}).",
            wrapper=False,
        )
    return None


def _token_budget(settings: EngineSettings, chosen: ResolvedSettings) -> StartFailure | None:
    tokens, sequences, length = chosen.max_num_batched_tokens, chosen.max_num_seqs, chosen.max_model_len
    if not settings.chunked_prefill and tokens < length:
        return StartFailure(
            "batched-tokens-below-length",
            f"max_num_batched_tokens ({tokens}) is smaller than max_model_len ({length}). This effectively limits "
            "the maximum sequence length to max_num_batched_tokens and makes vLLM reject longer sequences. Please "
            "increase max_num_batched_tokens or decrease max_model_len.",
            wrapper=False,
        )
    if tokens < sequences:
        return StartFailure(
            "batched-tokens-below-seqs",
            f"max_num_batched_tokens ({tokens}) must be greater than or equal to max_num_seqs ({sequences}).",
            wrapper=False,
        )
    return None


def _memory(
    model: ModelFacts, settings: EngineSettings, chosen: ResolvedSettings, plan: MemoryPlan
) -> StartFailure | None:
    free = plan.vram_bytes - CONTEXT_BYTES
    if plan.requested_bytes > free:
        return StartFailure(
            "utilization-above-free",
            f"Free memory on device cuda:0 ({_gib(free)}/{_gib(plan.vram_bytes)} GiB) on startup is less than desired "
            f"GPU memory utilization ({settings.gpu_memory_utilization:g}, {_gib(plan.requested_bytes)} GiB). "
            "Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        )
    if plan.weights_bytes > free:
        return StartFailure(
            "weights-too-large",
            "Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to free memory for "
            f"weights, increasing --tensor-parallel-size, or using --quantization. See {_DOCS} for more tips. "
            "(original error: CUDA out of memory. Tried to allocate 224.00 MiB. GPU 0 has a total capacity of "
            f"{_gib(plan.vram_bytes)} GiB of which 56.00 MiB is free.)",
        )
    if plan.kv_bytes <= 0:
        return StartFailure(
            "no-kv-memory",
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the "
            f"engine. See {_DOCS} for more details.",
        )
    return _cache_length(model, settings, chosen, plan) or _graphs(settings, chosen, plan)


def _cache_length(
    model: ModelFacts, settings: EngineSettings, chosen: ResolvedSettings, plan: MemoryPlan
) -> StartFailure | None:
    need = request_kv_bytes(
        model, settings, length=plan.max_model_len, batched_tokens=chosen.max_num_batched_tokens
    )
    if need <= plan.kv_bytes or settings.num_gpu_blocks is not None:
        return None
    fits = int(plan.kv_bytes // (plan.kv_bytes_per_token * plan.block_size)) * plan.block_size
    return StartFailure(
        "kv-below-max-model-len",
        f"To serve at least one request with the models's max seq len ({plan.max_model_len}), ({_gib(need)} GiB KV "
        f"cache is needed, which is larger than the available KV cache memory ({_gib(plan.kv_bytes)} GiB). Based on "
        f"the available memory, the estimated maximum model length is {fits}. Try increasing "
        "`gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine. "
        f"See {_DOCS} for more details.",
    )


def _graphs(settings: EngineSettings, chosen: ResolvedSettings, plan: MemoryPlan) -> StartFailure | None:
    """Graphs and the sampler's warm-up live outside the budget, in what the utilisation leaves."""
    if settings.enforce_eager or settings.kv_cache_memory_bytes is not None:
        return None
    if plan.vram_bytes - plan.requested_bytes >= GRAPH_BYTES:
        return None
    return StartFailure(
        "sampler-warm-up",
        f"CUDA out of memory occurred when warming up sampler with {chosen.max_num_seqs} dummy requests. Please try "
        "lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
    )


def _gib(count: float) -> str:
    return f"{count / GIB:.2f}"
