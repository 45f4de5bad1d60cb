"""What no run can beat: the speed at which the hardware's peaks would be reached and nothing else cost time. Pure.

A measured point above it is a mistake in the measurement (answers cut short, tokens counted twice, a cache that was
not meant to help), whatever else it looks like.
"""

from __future__ import annotations

from harness.forecast.hardware import Gpu
from harness.forecast.memory import BYTES_F16, weight_format
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings


def ceiling_tok_s(
    model: ModelFacts,
    gpu: Gpu,
    settings: EngineSettings,
    *,
    replicas: int = 1,
    concurrency: float | None = None,
) -> float:
    """Output tokens per second that a deployment cannot exceed.

    Each step reads the linear weights and the output head once and multiplies the active ones per sequence, at the
    data sheet's peaks, without any cache, launch or host time. ``concurrency`` bounds the sequences of the whole
    deployment; without it max-num-seqs does. Drafts count as if all were accepted, experts as if all sequences
    picked the same ones and, with data parallelism, as if the engines shared the reading of them. What a prefix
    cache saves is prompt work, none of which is in this bound.
    """
    chosen = settings.resolve(model, gpu)
    engines = replicas * settings.data_parallel
    sequences = float(chosen.max_num_seqs)
    if concurrency is not None:
        sequences = min(sequences, max(1.0, concurrency / engines))
    gpus = settings.tensor_parallel * settings.pipeline_parallel
    stored = weight_format(model, gpu, quantization=settings.quantization, dtype=settings.dtype)
    head = model.vocab * model.hidden
    picked = model.active_parameters - model.shared_parameters
    touched = model.shared_parameters + picked / settings.data_parallel
    read_s = (touched * stored.bytes_per_parameter + head * BYTES_F16) / (gpu.bandwidth * gpus)
    peak = max(gpu.flops, gpu.fp8_flops) if stored.native_fp8 else gpu.flops
    compute_s = 2 * (model.active_parameters + head) * sequences / (peak * gpus)
    gained = 1 + (chosen.speculation.tokens if chosen.speculation else 0)
    return engines * sequences * gained / max(read_s, compute_s)
