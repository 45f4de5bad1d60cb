"""The engine settings that decide memory and speed, and the defaults vLLM resolves them to. Pure.

Values come from elsewhere (a linted argument list, another parser's namespace) as text or typed; one that cannot
be read counts as not given, because finding it wrong is the linter's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from harness.forecast.hardware import GIB, Gpu
from harness.forecast.models import ModelFacts

LARGE_GPU_BYTES = 70 * GIB
_ASYNC_SINCE = (0, 14)
_DRAFT_ACCEPTANCE = {"ngram": 0.5, "suffix": 0.5}
_DEFAULT_ACCEPTANCE = 0.7
_HUMAN_INTEGER = re.compile(r"(\d+(?:\.\d+)?)([kmgtKMGT]?)")
_MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
                "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Speculation:
    """Draft tokens per step, how, and the chance that one is accepted given the one before was."""

    method: str
    tokens: int
    acceptance: float

    @property
    def expected_tokens(self) -> float:
        """Tokens gained per step and sequence: ``(1 - a^(k+1)) / (1 - a)``."""
        return float((1 - self.acceptance ** (self.tokens + 1)) / (1 - self.acceptance))

    @property
    def draft_share(self) -> float | None:
        """True layers the draft runs, as layers of the target; None when it runs on the host (n-gram)."""
        return None if self.method in _DRAFT_ACCEPTANCE else 1.0


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Engine arguments as given; None where vLLM chooses. Lengths are tokens, ``max_model_len`` -1 means fit it."""

    engine_version: str = "0.15.1"
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float = 0.9
    kv_cache_dtype: str = "auto"
    kv_cache_memory_bytes: int | None = None
    num_gpu_blocks: int | None = None
    cpu_offload_bytes: float = 0.0
    quantization: str | None = None
    dtype: str = "auto"
    block_size: int = 16
    chunked_prefill: bool = True
    prefix_caching: bool = True
    enforce_eager: bool = False
    async_scheduling: bool | None = None
    stream_interval: int = 1
    long_prefill_token_threshold: int = 0
    speculation: Speculation | None = None

    def resolve(self, model: ModelFacts, gpu: Gpu) -> ResolvedSettings:
        """What runs: every None replaced as the API server of this version would on this GPU."""
        return resolve(self, model, gpu)


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings with nothing left to choose."""

    engine_version: str
    tensor_parallel: int
    pipeline_parallel: int
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    chunked_prefill: bool
    prefix_caching: bool
    enforce_eager: bool
    async_scheduling: bool
    stream_interval: int
    long_prefill_token_threshold: int
    speculation: Speculation | None


@lru_cache(maxsize=256)
def version_tuple(version: str) -> tuple[int, ...]:
    """``0.15.1`` as ``(0, 15, 1)``; anything after the digits is left out."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def resolve(settings: EngineSettings, model: ModelFacts, gpu: Gpu) -> ResolvedSettings:
    """Defaults per GPU size and version, and the clipping of ``max_num_seqs`` by a smaller token budget."""
    large = gpu.vram_bytes >= LARGE_GPU_BYTES and "a100" not in gpu.name.lower()
    length = (
        settings.max_model_len
        if settings.max_model_len and settings.max_model_len > 0
        else model.max_position
    )
    tokens = settings.max_num_batched_tokens
    if tokens is None:
        tokens = 8192 if large else 2048
        if not settings.chunked_prefill:
            tokens = max(tokens, length)
    sequences = settings.max_num_seqs
    if sequences is None:
        sequences = min(1024 if large else 256, tokens)
    return ResolvedSettings(
        engine_version=settings.engine_version,
        tensor_parallel=settings.tensor_parallel,
        pipeline_parallel=settings.pipeline_parallel,
        max_model_len=length,
        max_num_seqs=max(1, sequences),
        max_num_batched_tokens=max(1, tokens),
        block_size=settings.block_size,
        chunked_prefill=settings.chunked_prefill,
        prefix_caching=settings.prefix_caching,
        enforce_eager=settings.enforce_eager,
        async_scheduling=_async(settings),
        stream_interval=settings.stream_interval,
        long_prefill_token_threshold=settings.long_prefill_token_threshold,
        speculation=settings.speculation,
    )


def _async(settings: EngineSettings) -> bool:
    """Asynchronous scheduling: off by default before 0.14, on after, except with n-gram drafts or pipelines."""
    if settings.async_scheduling is not None:
        return settings.async_scheduling
    if version_tuple(settings.engine_version) < _ASYNC_SINCE or settings.pipeline_parallel > 1:
        return False
    return settings.speculation is None or settings.speculation.draft_share is not None


def from_values(
    values: Mapping[str, object], *, engine_version: str = "0.15.1", gpu_count: int = 1
) -> EngineSettings:
    """Settings from flags. Keys are dashed or underscored names, ``no-`` forms included; values text or typed.

    Flags without effect on memory or speed are passed over. Without a tensor-parallel size the engine spreads over
    all ``gpu_count`` GPUs that pipeline and data parallelism leave it.
    """
    given = {key.lstrip("-").replace("_", "-"): value for key, value in values.items() if value is not None}
    for name in [name for name in given if name.startswith("no-")]:
        switched = _boolean(given[name])
        given.setdefault(name.removeprefix("no-"), None if switched is None else not switched)
    found: dict[str, object] = {"engine_version": engine_version}
    for flag, text in given.items():
        if flag in _READERS and text is not None:
            field, read = _READERS[flag]
            value = read(text)
            if value is not None:
                found[field] = value
    if "tensor_parallel" not in found:
        others = int(str(found.get("pipeline_parallel", 1))) * int(str(found.get("data_parallel", 1)))
        found["tensor_parallel"] = max(1, gpu_count // others)
    return EngineSettings(**found)  # type: ignore[arg-type]  # each reader returns its field's type


def _integer(value: object) -> int | None:
    """An integer, or one written with vLLM's suffixes: ``32k`` is 32,000 and ``32K`` 32,768."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = str(value).strip()
    if text == "auto" or text == "-1":
        return -1
    match = _HUMAN_INTEGER.fullmatch(text)
    return int(float(match[1]) * _MULTIPLIERS[match[2]]) if match else None


def _positive(value: object) -> int | None:
    number = _integer(value)
    return number if number is not None and number > 0 else None


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _gibibytes(value: object) -> float | None:
    number = _number(value)
    return None if number is None else number * GIB


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "": True, "false": False, "0": False}.get(str(value).strip().lower())


def _text(value: object) -> str | None:
    text = str(value).strip()
    return None if text in {"", "None"} else text


def _speculation(value: object) -> Speculation | None:
    """From ``--speculative-config``, JSON text or a mapping; acceptance is assumed, it depends on the text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, Mapping):
        return None
    tokens = _positive(value.get("num_speculative_tokens"))
    method = _text(value.get("method")) or ("draft_model" if value.get("model") else "ngram")
    if tokens is None:
        return None
    return Speculation(method, tokens, _DRAFT_ACCEPTANCE.get(method, _DEFAULT_ACCEPTANCE))


_READERS = {
    "tensor-parallel-size": ("tensor_parallel", _positive),
    "pipeline-parallel-size": ("pipeline_parallel", _positive),
    "data-parallel-size": ("data_parallel", _positive),
    "max-model-len": ("max_model_len", _integer),
    "max-num-seqs": ("max_num_seqs", _positive),
    "max-num-batched-tokens": ("max_num_batched_tokens", _positive),
    "gpu-memory-utilization": ("gpu_memory_utilization", _number),
    "kv-cache-dtype": ("kv_cache_dtype", _text),
    "kv-cache-memory-bytes": ("kv_cache_memory_bytes", _positive),
    "num-gpu-blocks-override": ("num_gpu_blocks", _positive),
    "cpu-offload-gb": ("cpu_offload_bytes", _gibibytes),
    "quantization": ("quantization", _text),
    "dtype": ("dtype", _text),
    "block-size": ("block_size", _positive),
    "enable-chunked-prefill": ("chunked_prefill", _boolean),
    "enable-prefix-caching": ("prefix_caching", _boolean),
    "enforce-eager": ("enforce_eager", _boolean),
    "async-scheduling": ("async_scheduling", _boolean),
    "stream-interval": ("stream_interval", _positive),
    "long-prefill-token-threshold": ("long_prefill_token_threshold", _positive),
    "speculative-config": ("speculation", _speculation),
}
# The flags the equations take in; all others are passed over.
FLAGS = frozenset(_READERS)
