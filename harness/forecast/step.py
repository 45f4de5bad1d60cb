"""How long one engine iteration takes: eight terms, four fitted constants. Pure.

The terms are rooflines: linear layers, output head, element-wise work, prompt attention, cache reads, all-reduce,
launches, and the host's own work, which an asynchronous scheduler hides behind the GPU. The constants hold for all
GPUs at once because large kernels reach much the same share of every GPU's peak; ``published.py`` says on which
measurements they were fitted. One constants object per GPU family takes a site's own calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.forecast.hardware import Gpu, Link
from harness.forecast.memory import BYTES_F16, kv_bytes_per_token, kv_cache_is_fp8, weight_format
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings

NORM = 2.5
PROMPT_ATTENTION_SHARE = 0.80
WEIGHT_ONLY_SPEED = 0.75
NATIVE_FP8_SPEED = 2 * 0.80
LAUNCH_S_PER_LAYER = 12e-6
EAGER_FACTOR = 2.0
HOST_S_PER_SEQUENCE = 12e-6
HOST_S_MULTI_GPU = 0.3e-3
ASYNC_S = 0.3e-3
DRAFT_S = 0.3e-3
MIXED_CACHE_READ_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Constants:
    """What is fitted: share of peak FLOP/s, of bandwidth, host seconds per step, share of the link's bandwidth."""

    compute_share: float = 0.747
    memory_share: float = 0.805
    host_s: float = 2.68e-3
    link_share: float = 1.07


@dataclass(frozen=True, slots=True)
class Batch:
    """One iteration's work.

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
    """Step times of one engine. Keeps the part that depends only on the token count, which recurs."""

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
        if settings.tensor_parallel > 1 and link is None:
            raise ValueError("more than one GPU per engine needs a link")
        self._model = model
        self._shards = settings.tensor_parallel
        self._settings = chosen
        self._link = link
        self._flops = gpu.flops * constants.compute_share
        self._bandwidth = gpu.bandwidth * constants.memory_share
        self._constants = constants
        stored = weight_format(model, gpu, quantization=settings.quantization, dtype=settings.dtype)
        self._weight_bytes = stored.bytes_per_parameter
        self._speed = 1.0
        if stored.native_fp8:
            self._speed = NATIVE_FP8_SPEED
        elif stored.is_quantised:
            self._speed = WEIGHT_ONLY_SPEED
        slow_mix = not gpu.has_fast_mixed_attention and not kv_cache_is_fp8(settings)
        self._mixed_factor = MIXED_CACHE_READ_FACTOR if slow_mix else 1.0
        # kv_bytes_per_token is one pipeline stage's share; a token passes all stages.
        all_layers = kv_bytes_per_token(model, settings) * settings.pipeline_parallel
        per_layer = all_layers / model.layers / self._bandwidth
        self._cache_full = per_layer * (model.layers - model.sliding_layers)
        self._cache_sliding = per_layer * model.sliding_layers
        self._window = float(model.sliding_window or 0)
        self._attention = (
            4
            * model.heads
            * model.head_dim
            * model.layers
            / (self._shards * self._flops * PROMPT_ATTENTION_SHARE)
        )
        self._by_size: dict[tuple[int, int], tuple[float, float]] = {}

    @property
    def hides_host(self) -> bool:
        """True when the scheduler works while the GPU does."""
        return self._settings.async_scheduling

    @property
    def tokens_per_sequence(self) -> int:
        """Tokens a decoding sequence puts into a step: one, and its drafts."""
        return 1 + (self._settings.speculation.tokens if self._settings.speculation else 0)

    def seconds(self, batch: Batch) -> float:
        """Duration of one iteration; 0 for an empty one."""
        if not batch.tokens:
            return 0.0
        gpu, host = self._sized(batch.tokens, batch.samples)
        mixed = batch.decodes and batch.tokens > batch.decodes * self.tokens_per_sequence
        gpu += self._cache_seconds(batch.decode_context, batch.decodes, batch.prompt_context) * (
            self._mixed_factor if mixed else 1.0
        )
        gpu += self._attention * batch.prompt_products
        return max(gpu, host) + ASYNC_S if self.hides_host else gpu + host

    def decode_run(self, *, decodes: int, context: float, limit: int, horizon_s: float) -> tuple[int, float]:
        """Pure decode steps until ``horizon_s`` is reached or ``limit`` steps are done: how many, and their time.

        The step in which the horizon falls is included. Equal to adding up ``seconds`` one by one.
        """
        if self._window:
            return self._decode_run_by_steps(decodes, context, limit, horizon_s)
        if self._run_seconds(decodes, context, limit) < horizon_s:
            return limit, self._run_seconds(decodes, context, limit)
        low, high = 1, limit
        while low < high:
            middle = (low + high) // 2
            enough = self._run_seconds(decodes, context, middle) >= horizon_s
            low, high = (low, middle) if enough else (middle + 1, high)
        return low, self._run_seconds(decodes, context, low)

    def _run_seconds(self, decodes: int, context: float, steps: int) -> float:
        """Closed form: a step is affine in the context, which grows by ``decodes`` a step."""
        gpu, host = self._sized(decodes * self.tokens_per_sequence, decodes * self.tokens_per_sequence)
        slope = self._cache_full * decodes
        start = gpu + self._cache_full * context
        if not self.hides_host:
            return steps * (start + host) + slope * steps * (steps - 1) / 2
        hidden = steps if slope <= 0 else min(steps, max(0, int((host - start) / slope) + 1))
        if start >= host:
            hidden = 0
        rest = steps - hidden
        run = rest * (start + slope * hidden) + slope * rest * (rest - 1) / 2
        return hidden * host + run + steps * ASYNC_S

    def _decode_run_by_steps(
        self, decodes: int, context: float, limit: int, horizon_s: float
    ) -> tuple[int, float]:
        size = decodes * self.tokens_per_sequence
        elapsed = 0.0
        for step in range(limit):
            elapsed += self.seconds(Batch(size, size, decodes, context + step * decodes))
            if elapsed >= horizon_s:
                return step + 1, elapsed
        return limit, elapsed

    def _cache_seconds(self, decode_context: float, decodes: int, prompt_context: float) -> float:
        seconds = self._cache_full * (decode_context + prompt_context)
        if self._window:
            seconds += self._cache_sliding * min(
                decode_context + prompt_context, (decodes + 1) * self._window
            )
        return seconds

    def _sized(self, tokens: int, samples: int) -> tuple[float, float]:
        """GPU and host seconds that depend on the batch's size alone."""
        found = self._by_size.get((tokens, samples))
        if found is None:
            terms = self.terms(Batch(tokens=tokens, samples=samples))
            found = self._by_size[tokens, samples] = terms.gpu, terms.host
        return found

    def terms(self, batch: Batch) -> StepTerms:
        """The same time, taken apart."""
        model, shards = self._model, self._shards
        tokens, samples = batch.tokens, batch.samples
        compute = 2 * model.active_parameters * tokens / (shards * self._flops * self._speed)
        read = self._linear_bytes(tokens) / shards / self._bandwidth
        head_parameters = model.vocab * model.hidden / shards
        head = _norm(
            2 * head_parameters * samples / self._flops, BYTES_F16 * head_parameters / self._bandwidth
        )
        width = (
            8 * model.hidden
            + (3 * model.active_ffn + 4 * (model.heads + model.kv_heads) * model.head_dim) / shards
        )
        mixed = batch.decodes and tokens > batch.decodes * self.tokens_per_sequence
        cache = self._cache_seconds(batch.decode_context, batch.decodes, batch.prompt_context)
        link = 0.0
        if self._link is not None and shards > 1:
            moved = tokens * model.hidden * BYTES_F16 / (self._link.bandwidth * self._constants.link_share)
            link = (2 * model.layers + 1) * (self._link.alpha_s + moved)
        host = (
            self._constants.host_s
            + HOST_S_PER_SEQUENCE * samples / self.tokens_per_sequence
            + (HOST_S_MULTI_GPU if shards > 1 else 0.0)
        )
        parts = StepTerms(
            linear=_norm(compute, read),
            head=head,
            elementwise=tokens * model.layers * BYTES_F16 * width / self._bandwidth,
            attention=self._attention * batch.prompt_products,
            cache=cache * (self._mixed_factor if mixed else 1.0),
            link=link,
            launch=model.layers
            * LAUNCH_S_PER_LAYER
            * (EAGER_FACTOR if self._settings.enforce_eager else 1.0),
            host=host,
            draft=self._draft_seconds(),
            total=0.0,
            linear_is_compute=compute > read,
        )
        total = max(parts.gpu, host) + ASYNC_S if self.hides_host else parts.gpu + host
        return replace(parts, total=total)

    def _linear_bytes(self, tokens: int) -> float:
        """Weights a step reads: of the experts only those that some token picks."""
        model = self._model
        if not model.experts:
            return model.linear_parameters * self._weight_bytes
        picked = 1 - (1 - model.experts_per_token / model.experts) ** tokens
        return (
            model.shared_parameters + model.experts * picked * model.expert_parameters
        ) * self._weight_bytes

    def _draft_seconds(self) -> float:
        """A draft layer's weights and a launch per draft token; n-gram drafts cost the GPU nothing."""
        speculation = self._settings.speculation
        if speculation is None or speculation.draft_share is None:
            return 0.0
        layer = self._model.active_parameters * self._weight_bytes / self._model.layers
        return speculation.tokens * (
            layer * speculation.draft_share / self._shards / self._bandwidth + DRAFT_S
        )


def _norm(compute: float, read: float) -> float:
    """Two overlapping costs: near their maximum, a little above it where they are alike."""
    return float((compute**NORM + read**NORM) ** (1 / NORM))
