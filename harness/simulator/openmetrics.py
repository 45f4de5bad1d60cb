"""The ``/metrics`` page of a simulated engine, under the names vLLM 0.12 and 0.15 give them. Pure.

Only vLLM's own families are there, with the labels, buckets and meaning they have in those versions; not those of the
process, the interpreter and the HTTP server, nor those that only some arguments bring.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.forecast.settings import version_tuple

# Buckets that end at the largest 1, 2 or 5 times a power of ten within max_model_len.
TOKEN_COUNTS: tuple[float, ...] = ()
ITERATION_TOKENS = (1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)
CHOICES = (1.0, 2.0, 5.0, 10.0, 20.0)
FIRST_TOKEN_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
                 40.0, 80.0, 160.0, 640.0, 2560.0)  # fmt: skip
TOKEN_S = (
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    20.0,
    40.0,
    80.0,
)
REQUEST_S = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0,
             960.0, 1920.0, 7680.0)  # fmt: skip
FINISH_REASONS = ("stop", "length", "abort", "error")

_COUNTERS = {
    "prefix_cache_queries": "Prefix cache queries, in tokens.",
    "prefix_cache_hits": "Prefix cache hits, in tokens.",
    "external_prefix_cache_queries": "Prefix cache queries to other instances, in tokens.",
    "external_prefix_cache_hits": "Prefix cache hits in other instances, in tokens.",
    "mm_cache_queries": "Multi-modal cache queries, in items.",
    "mm_cache_hits": "Multi-modal cache hits, in items.",
    "num_preemptions": "Preemptions so far.",
    "prompt_tokens": "Prompt tokens processed.",
    "generation_tokens": "Tokens generated.",
}
_HISTOGRAMS: dict[str, tuple[tuple[float, ...], str]] = {
    "request_prompt_tokens": (TOKEN_COUNTS, "Prompt tokens of a request."),
    "request_generation_tokens": (TOKEN_COUNTS, "Generated tokens of a request."),
    "iteration_tokens_total": (ITERATION_TOKENS, "Tokens of an engine step."),
    "request_max_num_generation_tokens": (TOKEN_COUNTS, "Most tokens of a request's choices."),
    "request_params_n": (CHOICES, "The n of a request."),
    "request_params_max_tokens": (TOKEN_COUNTS, "The max_tokens of a request."),
    "time_to_first_token_seconds": (FIRST_TOKEN_S, "Time to first token."),
    "inter_token_latency_seconds": (TOKEN_S, "Time between tokens."),
    "request_time_per_output_token_seconds": (TOKEN_S, "Time per output token of a request."),
    "e2e_request_latency_seconds": (REQUEST_S, "End to end latency of a request."),
    "request_queue_time_seconds": (REQUEST_S, "Time a request waited."),
    "request_inference_time_seconds": (REQUEST_S, "Time a request ran."),
    "request_prefill_time_seconds": (REQUEST_S, "Time until a running request had its first token."),
    "request_decode_time_seconds": (REQUEST_S, "Time from a request's first token to its last."),
}
_SINCE_0_13 = {
    "request_prefill_kv_computed_tokens": (TOKEN_COUNTS, "Prompt tokens computed, not found cached.")
}


# What the engine's cache configuration is described by, and what stands there unless the engine says otherwise.
_CACHE_CONFIG = {
    "block_size": "16", "cache_dtype": "auto", "calculate_kv_scales": "False", "cpu_kvcache_space_bytes": "None",
    "cpu_offload_gb": "0.0", "enable_prefix_caching": "True", "gpu_memory_utilization": "0.9",
    "is_attention_free": "False", "kv_cache_memory_bytes": "None", "kv_offloading_backend": "native",
    "kv_offloading_size": "None", "kv_sharing_fast_prefill": "False", "mamba_block_size": "None",
    "mamba_cache_dtype": "auto", "mamba_page_size_padded": "None", "mamba_ssm_cache_dtype": "auto",
    "num_cpu_blocks": "None", "num_gpu_blocks": "None", "num_gpu_blocks_override": "None",
    "prefix_caching_hash_algo": "sha256", "sliding_window": "None", "swap_space": "4.0",
}  # fmt: skip
_CACHE_CONFIG_SINCE_0_13 = {"mamba_cache_mode": "none"}


def _token_counts(max_model_len: int) -> tuple[float, ...]:
    digits = range(len(str(max_model_len)))
    steps = (float(step * 10**power) for power in digits for step in (1, 2, 5))
    return tuple(step for step in steps if step <= max_model_len)


@dataclass(slots=True)
class Histogram:
    """Counts per bucket, the sum and the number of what was observed."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    observed: int = 0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, several times if several requests share it."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times
        self.observed += times


class EngineMetrics:
    """Counters and histograms of one engine. Gauges are read from the engine when the page is made."""

    def __init__(self, engine_version: str, *, max_model_len: int) -> None:
        named, self.cache_config = dict(_HISTOGRAMS), dict(_CACHE_CONFIG)
        if version_tuple(engine_version) >= (0, 13):
            named |= _SINCE_0_13
            self.cache_config |= _CACHE_CONFIG_SINCE_0_13
        counts = _token_counts(max_model_len)
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self.histograms = {name: Histogram(bounds or counts) for name, (bounds, _) in named.items()}
        self.finished = dict.fromkeys(FINISH_REASONS, 0)

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Add to a histogram; one this version does not have is passed over."""
        histogram = self.histograms.get(name)
        if histogram is not None:
            histogram.observe(value, times)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What an engine is doing now. ``kv_usage`` is a share of 1."""

    running: int
    waiting: int
    kv_usage: float


def render(
    engines: Sequence[tuple[EngineMetrics, Gauges]],
    *,
    model_name: str,
    created_unix: float,
    cache_config: Mapping[str, object],
) -> str:
    """The page for all engines of one server, each under its own label; ``cache_config`` is what is known of it."""
    labels = [f'engine="{index}",model_name="{model_name}"' for index in range(len(engines))]
    lines = list(_gauges(engines, labels))
    for name, help_text in _COUNTERS.items():
        lines += _family(f"{name}_total", help_text, "counter")
        lines += [
            f"vllm:{name}_total{{{label}}} {float(metrics.counters[name])}"
            for (metrics, _), label in zip(engines, labels, strict=True)
        ]
        lines += _created(name, labels, created_unix)
    lines += _family("request_success_total", "Requests that ended, by reason.", "counter")
    for (metrics, _), label in zip(engines, labels, strict=True):
        engine, model = label.split(",", 1)
        lines += [
            f'vllm:request_success_total{{{engine},finished_reason="{reason}",{model}}} {float(count)}'
            for reason, count in metrics.finished.items()
        ]
    lines += _family("request_success_created", "When this was first counted.", "gauge")
    for label in labels:
        engine, model = label.split(",", 1)
        lines += [
            f'vllm:request_success_created{{{engine},finished_reason="{reason}",{model}}} {created_unix!r}'
            for reason in FINISH_REASONS
        ]
    lines += _histograms(engines, labels, created_unix)
    lines += _family("cache_config_info", "Cache configuration.", "gauge")
    for index, (metrics, _) in enumerate(engines):
        told = {**metrics.cache_config, **cache_config, "engine": index}
        shown = ",".join(f'{key}="{value}"' for key, value in sorted(told.items()))
        lines.append(f"vllm:cache_config_info{{{shown}}} 1.0")
    return "\n".join(lines) + "\n"


def _gauges(engines: Sequence[tuple[EngineMetrics, Gauges]], labels: Sequence[str]) -> Iterator[str]:
    values: dict[str, tuple[str, list[float]]] = {
        "num_requests_running": ("Requests in the running batch.", [g.running for _, g in engines]),
        "num_requests_waiting": ("Requests waiting.", [g.waiting for _, g in engines]),
        "kv_cache_usage_perc": ("Share of the KV cache in use.", [g.kv_usage for _, g in engines]),
    }
    for name, (help_text, found) in values.items():
        yield from _family(name, help_text, "gauge")
        for label, value in zip(labels, found, strict=True):
            yield f"vllm:{name}{{{label}}} {float(value)}"
    yield from _family("engine_sleep_state", "Engine sleep state.", "gauge")
    for label in labels:
        for state, value in (("awake", 1.0), ("weights_offloaded", 0.0), ("discard_all", 0.0)):
            yield f'vllm:engine_sleep_state{{{label},sleep_state="{state}"}} {value}'


def _histograms(
    engines: Sequence[tuple[EngineMetrics, Gauges]], labels: Sequence[str], created_unix: float
) -> Iterator[str]:
    helps = {name: text for name, (_, text) in (_HISTOGRAMS | _SINCE_0_13).items()}
    for name in engines[0][0].histograms:
        yield from _family(name, helps[name], "histogram")
        for (metrics, _), label in zip(engines, labels, strict=True):
            histogram = metrics.histograms[name]
            engine, model = label.split(",", 1)
            reached = 0
            bounds = [str(bound) for bound in histogram.bounds] + ["+Inf"]
            for bound, count in zip(bounds, histogram.counts, strict=True):
                reached += count
                yield f'vllm:{name}_bucket{{{engine},le="{bound}",{model}}} {float(reached)}'
            yield f"vllm:{name}_count{{{label}}} {float(histogram.observed)}"
            yield f"vllm:{name}_sum{{{label}}} {histogram.total}"
        yield from _created(name, labels, created_unix)


def _family(name: str, help_text: str, kind: str) -> list[str]:
    return [f"# HELP vllm:{name} {help_text}", f"# TYPE vllm:{name} {kind}"]


def _created(name: str, labels: Sequence[str], created_unix: float) -> list[str]:
    lines = _family(f"{name}_created", "When this was first counted.", "gauge")
    return lines + [f"vllm:{name}_created{{{label}}} {created_unix!r}" for label in labels]
