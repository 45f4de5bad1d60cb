"""Where a GPU's memory goes, and what is left for the KV cache. Pure.

Per GPU, as vLLM budgets it (``determine_available_memory``): requested share minus weights, the peak of a profiling
step, the sampler's logits and what lies outside PyTorch. CUDA graphs are captured after profiling and not in the
budget. The published start-up logs that check these figures are in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.forecast.hardware import GIB, Gpu
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings

# What lies outside PyTorch's allocator; and NCCL's buffers where GPUs work together.
NON_TORCH_BYTES = 0.25 * GIB
NCCL_BYTES = 0.45 * GIB
BYTES_F16 = 2

_EIGHT_BIT = ("fp8", "int8", "w8a16", "w8a8", "modelopt", "experts_int8", "quark")
_FOUR_BIT = ("awq", "gptq", "bitsandbytes", "mxfp4", "fp4", "gguf", "w4a16", "4bit")


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How linear weights are stored. ``native_fp8`` when they are also multiplied in 8 bits."""

    bytes_per_parameter: float
    native_fp8: bool = False

    @property
    def is_quantised(self) -> bool:
        """True when a weight takes less than 16 bits."""
        return self.bytes_per_parameter < BYTES_F16


def weight_format(
    model: ModelFacts, gpu: Gpu, *, quantization: str | None = None, dtype: str = "auto"
) -> WeightFormat:
    """From the flag or, without it, the model's own declaration. 4 bits weigh 0.52 bytes: one scale per 128."""
    method = (quantization or model.quantization or "").lower()
    bits = model.weight_bits if model.quantization and not quantization else None
    if bits is None:
        if any(name in method for name in _FOUR_BIT):
            bits = 4
        elif any(name in method for name in _EIGHT_BIT):
            bits = 8
    if bits is None or bits >= 16:
        return WeightFormat(4.0 if dtype in {"float32", "float"} else 2.0)
    if bits >= 8:
        native = gpu.has_fp8 and ("fp8" in method or method == "compressed-tensors" or "modelopt" in method)
        return WeightFormat(1.0, native_fp8=native)
    return WeightFormat(0.52 * bits / 4)


def kv_cache_is_fp8(settings: EngineSettings) -> bool:
    """True when ``--kv-cache-dtype`` asks for 8 bits."""
    return settings.kv_cache_dtype.startswith("fp8")


def kv_bytes_per_token(model: ModelFacts, settings: EngineSettings) -> float:
    """Keys and values of one token on one GPU, all layers."""
    heads = max(1.0, model.kv_heads / settings.tensor_parallel)
    layers = model.layers / settings.pipeline_parallel
    return 2 * layers * heads * model.head_dim * (1 if kv_cache_is_fp8(settings) else BYTES_F16)


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """One GPU's memory in bytes. ``kv_bytes`` may be negative: then nothing is left for the cache.

    ``blocks`` are usable ones (one is never given out), ``tokens`` what they hold, ``max_model_len`` the length
    that runs, ``max_concurrency`` how many requests of that length fit at once.
    """

    vram_bytes: float
    requested_bytes: float
    weights_bytes: float
    activation_bytes: float
    sampler_bytes: float
    non_torch_bytes: float
    kv_bytes: float
    kv_bytes_per_token: float
    block_size: int
    blocks: int
    max_model_len: int

    @property
    def tokens(self) -> int:
        """Tokens the KV cache holds."""
        return self.blocks * self.block_size

    @property
    def max_concurrency(self) -> float:
        """Full-length requests held at once."""
        return self.tokens / self.max_model_len


def plan_memory(model: ModelFacts, gpu: Gpu, settings: EngineSettings) -> MemoryPlan:
    """The budget of one GPU under these settings. Raises nothing: a budget that does not fit has no blocks."""
    chosen = settings.resolve(model, gpu)
    shards = settings.tensor_parallel * settings.pipeline_parallel
    weights = _weights_bytes(model, gpu, settings) / shards
    weights = max(0.0, weights - settings.cpu_offload_bytes)
    activation = (
        chosen.max_num_batched_tokens
        * BYTES_F16
        * (3 * model.active_ffn / settings.tensor_parallel + 4 * model.hidden)
    )
    sampler = 2 * 4 * chosen.max_num_seqs * model.vocab
    non_torch = NON_TORCH_BYTES + (NCCL_BYTES if shards > 1 else 0.0)
    requested = gpu.vram_bytes * settings.gpu_memory_utilization
    available = requested - weights - activation - sampler - non_torch
    if settings.kv_cache_memory_bytes is not None:
        available = float(settings.kv_cache_memory_bytes)
    per_token = kv_bytes_per_token(model, settings)
    blocks = max(0, int(available // (per_token * settings.block_size)))
    if settings.num_gpu_blocks is not None:
        blocks = settings.num_gpu_blocks
    length = chosen.max_model_len
    if settings.max_model_len == -1 and blocks > 1:
        length = max(1, min(model.max_position, (blocks - 1) * settings.block_size))
    return MemoryPlan(
        vram_bytes=gpu.vram_bytes,
        requested_bytes=requested,
        weights_bytes=weights,
        activation_bytes=activation,
        sampler_bytes=sampler,
        non_torch_bytes=non_torch,
        kv_bytes=available,
        kv_bytes_per_token=per_token,
        block_size=settings.block_size,
        blocks=max(0, blocks - 1),
        max_model_len=length,
    )


def _weights_bytes(model: ModelFacts, gpu: Gpu, settings: EngineSettings) -> float:
    """All weights of the model, before sharding; embeddings and output head stay 16 bits."""
    stored = weight_format(model, gpu, quantization=settings.quantization, dtype=settings.dtype)
    full = max(BYTES_F16, stored.bytes_per_parameter)
    return model.linear_parameters * stored.bytes_per_parameter + model.embedding_parameters * full


def request_kv_bytes(
    model: ModelFacts, settings: EngineSettings, *, length: int, batched_tokens: int
) -> float:
    """Cache that one request of that length needs on one GPU, whole blocks; sliding layers keep their window."""
    per_layer = kv_bytes_per_token(model, settings) / model.layers
    block = settings.block_size
    full = -(-length // block) * block
    if model.sliding_window is None:
        return full * per_layer * model.layers
    kept = min(length, model.sliding_window - 1 + batched_tokens)
    windowed = (-(-kept // block) + 1) * block if kept < length else full
    return per_layer * (full * (model.layers - model.sliding_layers) + windowed * model.sliding_layers)


def largest_max_model_len(model: ModelFacts, gpu: Gpu, settings: EngineSettings) -> int:
    """The longest ``max_model_len`` that starts with these settings; 0 when none does."""
    plan = plan_memory(model, gpu, settings)
    tokens = settings.resolve(model, gpu).max_num_batched_tokens
    low, high = 0, model.max_position
    while low < high:
        middle = (low + high + 1) // 2
        need = request_kv_bytes(model, settings, length=middle, batched_tokens=tokens)
        low, high = (middle, high) if need <= plan.kv_bytes else (low, middle - 1)
    return low


def largest_max_num_seqs(model: ModelFacts, gpu: Gpu, settings: EngineSettings) -> int:
    """The largest ``max_num_seqs`` that still leaves cache for one full-length request; 0 when none does."""
    chosen = settings.resolve(model, gpu)
    need = request_kv_bytes(
        model, settings, length=chosen.max_model_len, batched_tokens=chosen.max_num_batched_tokens
    )
    low, high = 0, chosen.max_num_batched_tokens
    while low < high:
        middle = (low + high + 1) // 2
        fits = plan_memory(model, gpu, replace(settings, max_num_seqs=middle)).kv_bytes >= need
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
