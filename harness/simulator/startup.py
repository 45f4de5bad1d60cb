"""A simulated engine's start: how long it takes, what it logs, and whether it comes up at all. Pure.

Times are simulated seconds: a log-normal share of scheduling, image and weights, then compilation and graph capture;
the medians are published start-ups of vLLM 0.7 to 0.20.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.forecast.hardware import GIB, Gpu
from harness.forecast.memory import MemoryPlan, plan_memory
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, from_values
from harness.forecast.startup_check import StartFailure, start_failure
from harness.forecast.tables import gpu as gpu_of
from harness.forecast.tables import model as model_of
from harness.secret import Secret

SCHEDULE_S = 30.0
STORAGE_BYTES_PER_S = 1e9
COMPILE_S = 30.0
CAPTURE_S = 15.0
CONFIGURE_S = 12.0
SPREAD = 0.35
UNKNOWN_MODEL = "llama3-8b"
UNKNOWN_GPU = "gpua5000"


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """One deployment's engine. ``arguments`` holds the parameters by underscored name, text or typed, None if unset."""

    engine_version: str
    model: str
    gpu_type: str
    gpu_count: int
    replicas: int
    arguments: argparse.Namespace
    api_key: Secret
    seed: int


@dataclass(frozen=True, slots=True)
class StartUp:
    """How a start goes: log lines with their time after its beginning, and the last word when it fails."""

    ok: bool
    duration_s: float
    lines: tuple[tuple[float, str], ...]
    state_details: str


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What the spec amounts to. An unknown model or GPU is stood in for, and ``stand_ins`` says by what."""

    model: ModelFacts
    gpu: Gpu
    settings: EngineSettings
    memory: MemoryPlan
    stand_ins: tuple[str, ...]


def plan_engine(spec: EndpointSpec) -> EnginePlan:
    """Model, GPU, settings and memory of one replica."""
    stand_ins = []
    model, gpu = model_of(spec.model), gpu_of(spec.gpu_type)
    if model is None:
        model = model_of(UNKNOWN_MODEL)
        stand_ins.append(f"model {spec.model} is not in the tables, simulated as {UNKNOWN_MODEL}")
    if gpu is None:
        gpu = gpu_of(UNKNOWN_GPU)
        stand_ins.append(f"GPU {spec.gpu_type} is not in the tables, simulated as {UNKNOWN_GPU}")
    if model is None or gpu is None:
        raise LookupError("the packaged tables lack their own stand-ins")
    settings = from_values(vars(spec.arguments), engine_version=spec.engine_version, gpu_count=spec.gpu_count)
    settings = _lengthless(settings)
    return EnginePlan(model, gpu, settings, plan_memory(model, gpu, settings), tuple(stand_ins))


def _lengthless(settings: EngineSettings) -> EngineSettings:
    """A max-model-len of 0 or below -1 would not have parsed; -1 means as long as fits."""
    if settings.max_model_len is not None and settings.max_model_len < -1:
        return replace(settings, max_model_len=None)
    return settings


def start_up(spec: EndpointSpec) -> StartUp:
    """Log and outcome of starting ``spec``; the same spec always starts alike."""
    plan = plan_engine(spec)
    rng = random.Random(f"{spec.seed}/start")
    factor = rng.lognormvariate(0.0, SPREAD)
    failure = start_failure(plan.model, plan.gpu, spec.gpu_count, plan.settings)
    if failure is not None:
        return _failed(spec, plan, failure, factor)
    lines = [(when * factor, text) for when, text in _good_lines(spec, plan)]
    return StartUp(True, lines[-1][0], tuple(lines), "")


def _failed(spec: EndpointSpec, plan: EnginePlan, failure: StartFailure, factor: float) -> StartUp:
    lines = [(when * factor, text) for when, text in _first_lines(spec, plan)]
    when = lines[-1][0] + (10 if failure.wrapper else 3) * factor
    if failure.wrapper:
        loaded = [
            line
            for line in _load_lines(plan)
            if failure.code not in {"weights-too-large", "utilization-above-free"}
        ]
        lines += [(when + delay * factor, text) for delay, text in loaded]
        when = lines[-1][0] + factor
        lines.append((when, f"(EngineCore_DP0 pid=271) ERROR [core.py] ValueError: {failure.message}"))
        if plan.settings.tensor_parallel > 1:
            lines.append(
                (when, "WorkerProc initialization failed due to an exception in a background process. "
                       "See stack trace for root cause.")
            )  # fmt: skip
        lines.append(
            (
                when + 1,
                "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
            )
        )
    else:
        lines.append((when, f"ValueError: {failure.message}"))
    return StartUp(False, lines[-1][0], tuple(lines), failure.message)


def _first_lines(spec: EndpointSpec, plan: EnginePlan) -> Iterator[tuple[float, str]]:
    yield SCHEDULE_S, f"INFO [api_server.py] vLLM API server version {spec.engine_version}"
    yield SCHEDULE_S, f"INFO [utils.py] non-default args: {non_default(spec)!r}"
    for text in plan.stand_ins:
        yield SCHEDULE_S, f"WARNING [simulator] {text}"
    architecture = "MoE" if plan.model.experts else "dense"
    yield SCHEDULE_S + 4, f"INFO [model.py] Resolved architecture: {plan.model.name} ({architecture})"
    chosen = plan.settings.resolve(plan.model, plan.gpu)
    yield SCHEDULE_S + 4, f"INFO [model.py] Using max model len {chosen.max_model_len}"
    if chosen.chunked_prefill:
        yield (
            SCHEDULE_S + 5,
            "INFO [scheduler.py] Chunked prefill is enabled with "
            f"max_num_batched_tokens={chosen.max_num_batched_tokens}.",
        )
    if chosen.async_scheduling:
        yield SCHEDULE_S + 5, "INFO [vllm.py] Asynchronous scheduling is enabled."


def _load_lines(plan: EnginePlan) -> Iterator[tuple[float, str]]:
    seconds = plan.memory.weights_bytes * plan.settings.tensor_parallel / STORAGE_BYTES_PER_S
    loaded = plan.memory.weights_bytes / GIB
    yield (
        seconds,
        f"INFO [gpu_model_runner.py] Model loading took {loaded:.2f} GiB memory and {seconds:.6f} seconds",
    )


def _good_lines(spec: EndpointSpec, plan: EnginePlan) -> Iterator[tuple[float, str]]:
    yield from _first_lines(spec, plan)
    when = SCHEDULE_S + CONFIGURE_S
    for delay, text in _load_lines(plan):
        when += delay
        yield when, text
    compiling = 0.0 if plan.settings.enforce_eager else COMPILE_S
    when += compiling
    if compiling:
        yield when, f"INFO [monitor.py] torch.compile takes {compiling:.2f} s in total"
    memory = plan.memory
    yield when + 2, f"INFO [gpu_worker.py] Available KV cache memory: {memory.kv_bytes / GIB:.2f} GiB"
    yield when + 2, f"INFO [kv_cache_utils.py] GPU KV cache size: {memory.tokens:,} tokens"
    yield (
        when + 2,
        f"INFO [kv_cache_utils.py] Maximum concurrency for {memory.max_model_len:,} tokens per request: "
        f"{memory.max_concurrency:.2f}x",
    )
    capturing = 0.0 if plan.settings.enforce_eager else CAPTURE_S
    when += capturing + 2
    if capturing:
        yield (
            when,
            f"INFO [gpu_model_runner.py] Graph capturing finished in {capturing:.0f} secs, took 0.62 GiB",
        )
    total = compiling + capturing + 2
    yield (
        when,
        f"INFO [core.py] init engine (profile, create kv cache, warmup model) took {total:.2f} seconds",
    )
    yield when + 2, "INFO [api_server.py] Starting vLLM API server 0 on http://0.0.0.0:8000"
    yield when + 3, "INFO:     Application startup complete."


def non_default(spec: EndpointSpec) -> dict[str, object]:
    """Arguments that differ from what an engine takes by itself, for the log. Secrets are left out."""
    shown: dict[str, object] = {"model_tag": spec.model, "model": spec.model}
    for name, value in sorted(vars(spec.arguments).items()):
        if value is None or name in {"api_key", "hf_token", "model", "model_tag"}:
            continue
        if isinstance(value, bool) and value is (name in _ON_BY_DEFAULT) and name not in _CHOSEN_BY_ENGINE:
            continue
        shown[name] = value
    if "tensor_parallel_size" not in shown and spec.gpu_count > 1:
        shown["tensor_parallel_size"] = plan_engine(spec).settings.tensor_parallel
    return shown


# Switches: an argument parser reports their defaults as if given, except where the engine chooses.
_ON_BY_DEFAULT = frozenset({"use_tqdm_on_load", "disable_log_requests", "enable_log_deltas"})
_CHOSEN_BY_ENGINE = frozenset({"async_scheduling", "enable_chunked_prefill", "enable_prefix_caching"})
