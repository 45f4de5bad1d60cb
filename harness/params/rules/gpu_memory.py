"""The model's weights and the KV cache of one longest request do not fit into the GPUs' memory.

Weights, the peak of one step, and what lies outside PyTorch come off the share that ``--gpu-memory-utilization``
grants; what is left must hold one request of ``--max-model-len`` tokens, or the engine exits after it has loaded the
weights. The arithmetic is that of ``harness.forecast.memory``, which meets published start-up logs within one percent:
beyond 3 % it is an error here, within 3 % a warning. Without ``--tensor-parallel-size`` all GPUs of the replica are
counted. Models outside the arithmetic (latent attention, state space, towers for images) are not judged.

Wrong::

    --max-model-len 131072    # model: llama-8b gpu-type: gpua5000 gpu-count: 1

Right::

    --max-model-len 16384    # model: llama-8b gpu-type: gpua5000 gpu-count: 1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import asked_length, gpu, longest_length, max_model_len, model, world_size
from harness.params.model_config import ModelConfig
from harness.params.quantization import resolve
from harness.params.settings import Settings
from harness.units import format_bytes

if TYPE_CHECKING:
    from harness.forecast.hardware import Gpu
    from harness.forecast.memory import MemoryPlan
    from harness.forecast.models import ModelFacts
    from harness.forecast.settings import EngineSettings

CODE = "gpu-memory"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
MARGIN = 0.03
MOST_OFFLOADED_GIB = 4096


class Balance(NamedTuple):
    """Bytes per GPU: what the engine ``needs`` in all (``fixed`` without the cache) and what it ``has``."""

    plan: MemoryPlan
    fixed: float
    needs: float
    has: float

    @property
    def excess(self) -> float:
        """Share by which the need is above what there is; negative when it fits."""
        return self.needs / self.has - 1 if self.has > 0 else 1.0


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when GPU, count and model are known and everything else about the list is in order."""
    if context.gpu_type is None or context.gpu_count is None or context.model is None:
        return
    settings = Settings(context)
    card, known = gpu(settings), model(settings)
    if card is None or known is None or not judged(settings, known):
        return
    # Here, so that a list without a GPU is linted without loading the arithmetic.
    from harness.forecast.memory import largest_max_model_len
    from harness.forecast.models import ModelFacts

    facts = known.shape
    if not isinstance(facts, ModelFacts):
        return
    # The arithmetic takes the model's limit as it is written; RoPE scaling and sliding windows move it.
    limit = max_model_len(settings) if asked_length(settings) is None else longest_length(settings, known)
    if limit is None:
        return
    position = int(limit[0] if isinstance(limit, tuple) else limit)
    if facts.max_position != position:
        facts = replace(facts, max_position=position)
    chosen = engine_settings(settings, context.gpu_count)
    balance = weigh(facts, card, chosen)
    if balance.excess < -MARGIN:
        return
    yield finding(context, settings, balance, best=largest_max_model_len(facts, card, chosen))


def judged(settings: Settings, known: ModelConfig) -> bool:
    """False where another rule already refuses the sizes, the length or the quantization, or the cache is fixed."""
    count = settings.context.gpu_count or 0
    sizes = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
    if not 1 <= count <= 8 or min(settings.size(name) for name in sizes) < 1 or world_size(settings) > count:
        return False
    if known.heads and known.heads % settings.size("tensor-parallel-size"):
        return False
    length, longest = asked_length(settings), longest_length(settings, known)
    if (length is not None and length < 1) or longest is None or (length is not None and length > longest[0]):
        return False
    share, offloaded = settings.number("gpu-memory-utilization"), settings.number("cpu-offload-gb")
    if share is None or not 0 < share <= 1 or settings.value("num-gpu-blocks-override") is not None:
        return False
    if offloaded is not None and not 0 <= offloaded < MOST_OFFLOADED_GIB:
        return False
    resolved = resolve(settings, known)
    return resolved is not None and resolved.mismatch is None


def engine_settings(settings: Settings, gpu_count: int) -> EngineSettings:
    """The forecast's view of the list."""
    from harness.forecast.settings import from_values

    values = {argument.name: argument.converted for argument in settings.context.arguments if argument.valid}
    return from_values(values, engine_version=settings.context.version, gpu_count=gpu_count)


def weigh(facts: ModelFacts, card: Gpu, chosen: EngineSettings) -> Balance:
    """Need against budget of one GPU, with one request of the longest sequence in the cache."""
    from harness.forecast.memory import plan_memory, request_kv_bytes

    plan = plan_memory(facts, card, chosen)
    tokens = chosen.resolve(facts, card).max_num_batched_tokens
    length = chosen.block_size if chosen.max_model_len == -1 else plan.max_model_len
    cache = request_kv_bytes(facts, chosen, length=length, batched_tokens=tokens)
    fixed = plan.weights_bytes + plan.activation_bytes + plan.sampler_bytes + plan.non_torch_bytes
    if chosen.kv_cache_memory_bytes is not None:
        wanted = fixed + max(cache, chosen.kv_cache_memory_bytes)
        return Balance(plan, fixed, needs=wanted, has=plan.vram_bytes)
    return Balance(plan, fixed, needs=fixed + cache, has=plan.requested_bytes)


def finding(context: Context, settings: Settings, balance: Balance, *, best: int) -> Diagnostic:
    """What does not fit, at the argument that could be changed."""
    report = context.error if balance.excess > MARGIN else context.warning
    message, hint = told(balance, best=best)
    if balance.fixed >= balance.has:
        return report(CODE, None, message, hint=hint)
    span = settings.span("max-model-len", "gpu-memory-utilization", "tensor-parallel-size")
    return report(CODE, span, message, hint=hint)


def told(balance: Balance, *, best: int) -> tuple[str, str]:
    """What does not fit, and what would: ``best`` is the longest sequence that does, 0 when none does."""
    need, have = format_bytes(balance.needs), format_bytes(balance.has)
    weights = format_bytes(balance.plan.weights_bytes)
    if balance.fixed >= balance.has:
        message = (
            f"the weights ({weights} per GPU) leave no memory for the KV cache: {need} needed, {have} there"
        )
        return message, "more or larger GPUs, or a quantized model"
    verb = "does not fit" if balance.excess > MARGIN else "hardly fits"
    message = (
        f"a sequence of {balance.plan.max_model_len} tokens {verb} beside the weights ({weights} per GPU): "
        f"{need} of memory needed, {have} there"
    )
    return message, f"--max-model-len {best} at most" if best > 0 else "more or larger GPUs"
