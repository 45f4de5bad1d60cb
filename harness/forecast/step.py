"""How long one engine iteration takes: eight terms, four fitted constants. Pure.

The terms are rooflines: linear layers, output head, element-wise work, prompt attention, cache reads, all-reduce,
launches, and the host's own work, which an asynchronous scheduler hides behind the GPU. The constants hold for all
GPUs at once because large kernels reach much the same share of every GPU's peak; ``published.py`` says on which
measurements they were fitted. One constants object per GPU family takes a site's own calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from harness.forecast.decode_run import decode_run
from harness.forecast.hardware import Gpu, Link
from harness.forecast.memory import (
    BYTES_F16,
    WeightFormat,
    kv_bytes_per_token,
    kv_cache_is_fp8,
    weight_format,
)
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, Speculation

# Overlapping costs are joined by the norm of this power: 1 would add them, infinity take the larger one.
NORM = 2.5
# Of what large matrix products reach: prompt attention, and products with weights stored in 8 or 4 bits. Native FP8
# has twice the peak, of which it reaches a smaller share.
PROMPT_ATTENTION_SHARE = 0.80
WEIGHT_ONLY_SPEED = 0.75
NATIVE_FP8_SPEED = 2 * 0.80
LAUNCH_S_PER_LAYER = 12e-6
EAGER_FACTOR = 2.0
HOST_S_PER_SEQUENCE = 12e-6
HOST_S_MULTI_GPU = 0.3e-3
# What an asynchronous scheduler cannot hide, and what each draft costs beside the layer it reads.
ASYNC_S = 0.3e-3
DRAFT_S = 0.3e-3
# FlashAttention 2 has one kernel for prompts and decodes together, and in it decodes lose their faster path.
MIXED_CACHE_READ_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Constants:
    """What is fitted: share of peak FLOP/s, of bandwidth, host seconds per step, share of the link's bandwidth."""

    compute_share: float = 0.747
    memory_share: float = 0.805
    host_s: float = 2.68e-3
    link_share: float = 1.07


class Batch(NamedTuple):
    """One iteration's work. A tuple, for it is made at every step.

    ``tokens`` go through the linear layers, ``samples`` sequences get logits. ``decode_context`` is the sum of the
    cached tokens the decoding sequences read. For prompt chunks of q tokens after s cached ones,
    ``prompt_products`` is the sum of ``q*s + q*q/2`` and ``prompt_context`` the sum of s.
    """

    tokens: int
    samples: int
    decodes: int = 0
    decode_context: float = 0.0
    prompt_products: float = 0.0
    prompt_context: float = 0.0


@dataclass(frozen=True, slots=True)
class StepTerms:
    """Where an iteration's time goes, in seconds. ``total`` is not their sum when the host is hidden."""

    linear: float
    head: float
    elementwise: float
    attention: float
    cache: float
    link: float
    launch: float
    host: float
    draft: float
    total: float
    linear_is_compute: bool

    @property
    def gpu(self) -> float:
        """Time on the GPU."""
        return (
            self.linear + self.head + self.elementwise + self.attention
            + self.cache + self.link + self.launch + self.draft
        )  # fmt: skip


class StepModel:
    """Step times of one engine. Keeps what depends on the number of sequences alone, which recurs."""

    def __init__(
        self,
        model: ModelFacts,
        gpu: Gpu,
        settings: EngineSettings,
        *,
        link: Link | None = None,
        constants: Constants | None = None,
    ) -> None:
        constants = constants or Constants()
        chosen = settings.resolve(model, gpu)
        shards = settings.tensor_parallel
        if shards > 1 and link is None:
            raise ValueError("more than one GPU per engine needs a link")
        self.hides_host = chosen.async_scheduling
        self.tokens_per_sequence = 1 + (chosen.speculation.tokens if chosen.speculation else 0)
        flops = gpu.flops * constants.compute_share * shards
        bandwidth = gpu.bandwidth * constants.memory_share * shards
        stored = weight_format(model, gpu, quantization=settings.quantization, dtype=settings.dtype)
        self._layer_parameters = model.active_parameters / model.layers
        self._shared_parameters = model.shared_parameters
        self._experts, self._expert_parameters = model.experts, model.expert_parameters
        self._picked_by_one = model.experts_per_token / model.experts if model.experts else 0.0
        self._read_per_parameter = stored.bytes_per_parameter / bandwidth
        self._linear_compute = 2 * model.active_parameters / (flops * _speed(stored))
        self._head_compute = 2 * model.vocab * model.hidden / flops
        self._head_read = BYTES_F16 * model.vocab * model.hidden / bandwidth
        width = (
            8 * model.hidden * shards
            + 3 * model.active_ffn
            + 4 * (model.heads + model.kv_heads) * model.head_dim
        )
        self._elementwise = model.layers * BYTES_F16 * width / bandwidth
        self._attention = 4 * model.heads * model.head_dim * model.layers / (flops * PROMPT_ATTENTION_SHARE)
        self._launch = model.layers * LAUNCH_S_PER_LAYER * (EAGER_FACTOR if chosen.enforce_eager else 1.0)
        self._host = constants.host_s + (HOST_S_MULTI_GPU if shards > 1 else 0.0)
        self._link_fixed = self._link_per_token = 0.0
        if link is not None and shards > 1:
            reduces = 2 * model.layers + 1
            self._link_fixed = reduces * link.alpha_s
            self._link_per_token = (
                reduces * model.hidden * BYTES_F16 / (link.bandwidth * constants.link_share)
            )
        self._draft = self._draft_seconds(chosen.speculation)
        slow_mix = not gpu.has_fast_mixed_attention and not kv_cache_is_fp8(settings)
        self._mixed_factor = MIXED_CACHE_READ_FACTOR if slow_mix else 1.0
        # kv_bytes_per_token is one GPU's share of one pipeline stage; a token passes all stages.
        all_layers = kv_bytes_per_token(model, settings) * settings.pipeline_parallel
        per_layer = all_layers / model.layers / (bandwidth / shards)
        self._cache_full = per_layer * (model.layers - model.sliding_layers)
        self._cache_sliding = per_layer * model.sliding_layers
        self._window = float(model.sliding_window or 0)
        self._per_token = self._elementwise + self._link_per_token
        self._by_samples: dict[int, tuple[float, float]] = {}
        self._by_decodes: dict[int, tuple[float, float, float]] = {}

    def seconds(self, batch: Batch) -> float:
        """Duration of one iteration; 0 for an empty one."""
        if not batch.tokens:
            return 0.0
        gpu, host = self._sized(batch.tokens, batch.samples)
        gpu += self._cache_seconds(batch) + self._attention * batch.prompt_products
        return max(gpu, host) + ASYNC_S if self.hides_host else gpu + host

    def terms(self, batch: Batch) -> StepTerms:
        """The same time, taken apart."""
        compute, read = self._linear(batch.tokens)
        gpu, host = self._sized(batch.tokens, batch.samples)
        cache, attention = self._cache_seconds(batch), self._attention * batch.prompt_products
        gpu += cache + attention
        return StepTerms(
            linear=_norm(compute, read),
            head=self._sampled(batch.samples)[0],
            elementwise=self._elementwise * batch.tokens,
            attention=attention,
            cache=cache,
            link=self._link_fixed + self._link_per_token * batch.tokens,
            launch=self._launch,
            host=host,
            draft=self._draft,
            total=max(gpu, host) + ASYNC_S if self.hides_host else gpu + host,
            linear_is_compute=compute > read,
        )

    def decode_run(self, *, decodes: int, context: float, limit: int, horizon_s: float) -> tuple[int, float]:
        """Pure decode steps until ``horizon_s`` is reached or ``limit`` steps are done: how many, and their time.

        The step in which the horizon falls is included. Equal to adding up ``seconds`` one by one.
        """
        if self._window:
            return self._decode_run_by_steps(decodes, context, limit, horizon_s)
        gpu, host, slope = self._by_decodes.get(decodes) or self._decode_terms(decodes)
        first = gpu + self._cache_full * context
        if self.hides_host:
            return decode_run(first, slope, ASYNC_S, limit, horizon_s, least=host)
        return decode_run(first, slope, host, limit, horizon_s)

    def _decode_terms(self, decodes: int) -> tuple[float, float, float]:
        """Of a step of decodes alone: GPU seconds without the cache, host seconds, what each further step adds."""
        size = decodes * self.tokens_per_sequence
        found = self._by_decodes[decodes] = (*self._sized(size, size), self._cache_full * decodes)
        return found

    def _decode_run_by_steps(
        self, decodes: int, context: float, limit: int, horizon_s: float
    ) -> tuple[int, float]:
        """With sliding windows a step's time is not affine in the context: one by one."""
        size = decodes * self.tokens_per_sequence
        gpu, host = self._sized(size, size)
        elapsed = 0.0
        for step in range(1, limit + 1):
            read = gpu + self._cache_read(context, decodes)
            elapsed += max(read, host) + ASYNC_S if self.hides_host else read + host
            if elapsed >= horizon_s:
                return step, elapsed
            context += decodes
        return limit, elapsed

    def _cache_read(self, context: float, decodes: int) -> float:
        """Seconds to read ``context`` cached tokens of all layers, of the sliding ones no more than the windows."""
        seconds = self._cache_full * context
        if self._window:
            seconds += self._cache_sliding * min(context, (decodes + 1) * self._window)
        return seconds

    def _cache_seconds(self, batch: Batch) -> float:
        seconds = self._cache_read(batch.decode_context + batch.prompt_context, batch.decodes)
        mixed = batch.decodes and batch.tokens > batch.decodes * self.tokens_per_sequence
        return seconds * self._mixed_factor if mixed else seconds

    def _sized(self, tokens: int, samples: int) -> tuple[float, float]:
        """GPU and host seconds that depend on the batch's size alone."""
        head, host = self._by_samples.get(samples) or self._sampled(samples)
        linear = _norm(*self._linear(tokens))
        each = self._per_token * tokens
        return linear + head + each + self._link_fixed + self._launch + self._draft, host

    def _sampled(self, samples: int) -> tuple[float, float]:
        """Seconds of the output head and of the host for so many sequences."""
        head = _norm(self._head_compute * samples, self._head_read)
        host = self._host + HOST_S_PER_SEQUENCE * samples / self.tokens_per_sequence
        found = self._by_samples[samples] = head, host
        return found

    def _linear(self, tokens: int) -> tuple[float, float]:
        """Seconds to multiply and to read the linear weights; of the experts only those that some token picks."""
        read: float = self._shared_parameters
        if self._experts:
            picked = 1 - (1 - self._picked_by_one) ** tokens
            read += self._experts * picked * self._expert_parameters
        return self._linear_compute * tokens, read * self._read_per_parameter

    def _draft_seconds(self, speculation: Speculation | None) -> float:
        """A draft layer's weights and a launch per draft token; n-gram drafts cost the GPU nothing."""
        if speculation is None or speculation.draft_share is None:
            return 0.0
        layer = self._layer_parameters * self._read_per_parameter
        return speculation.tokens * (layer * speculation.draft_share + DRAFT_S)


def _speed(stored: WeightFormat) -> float:
    """Multiplications per second, relative to 16 bits."""
    if stored.native_fp8:
        return NATIVE_FP8_SPEED
    return WEIGHT_ONLY_SPEED if stored.is_quantised else 1.0


def _norm(compute: float, read: float) -> float:
    """Two overlapping costs: near their maximum, a little above it where they are alike."""
    cost: float = (compute**NORM + read**NORM) ** (1 / NORM)
    return cost
