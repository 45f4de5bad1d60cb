"""The batch sizes for CUDA graphs contradict each other.

They are given by flag or inside ``--compilation-config``, not by both; the largest size, where it is given too, must
be the largest of the list that fits a step; and with CUDA graphs on there is at least one size.

Wrong::

    --cudagraph-capture-sizes 1 2 4 --max-cudagraph-capture-size 8

Right::

    --cudagraph-capture-sizes 1 2 4 8 --max-cudagraph-capture-size 8
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import SMALL_GPU_TOKENS, batch
from harness.params.lenient import integer_of
from harness.params.settings import Settings

CODE = "cudagraph-sizes"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
PAIRS = {
    "cuda-graph-sizes": "cudagraph_capture_sizes",
    "cudagraph-capture-sizes": "cudagraph_capture_sizes",
    "max-cudagraph-capture-size": "max_cudagraph_capture_size",
}
FLAGS = (*PAIRS, "compilation-config")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, for the first contradiction vLLM meets."""
    settings = Settings(context)
    table = settings.table("compilation-config") or {}
    for flag, key in PAIRS.items():
        if settings.value(flag) is not None and table.get(key) is not None:
            message = f"--{flag} and {key} in --compilation-config exclude each other"
            yield context.error(CODE, settings.span(flag), message)
            return
    older, newer = settings.value("cuda-graph-sizes"), settings.value("cudagraph-capture-sizes")
    if older is not None and newer is not None:
        message = "--cuda-graph-sizes and --cudagraph-capture-sizes exclude each other"
        yield context.error(CODE, settings.span("cuda-graph-sizes"), message)
        return
    if not graphs_on(settings, table):
        return
    sizes = newer if older is None else older
    given = sizes if sizes is not None else table.get("cudagraph_capture_sizes")
    reason = refusal(settings, table, [number for item in given if (number := integer_of(item)) is not None]
                     if isinstance(given, tuple | list) else None)  # fmt: skip
    if reason is not None:
        yield context.error(CODE, settings.span(*FLAGS), reason)


def graphs_on(settings: Settings, table: Mapping[str, object]) -> bool:
    """False when CUDA graphs are switched off, or may be."""
    if settings.switch("enforce-eager") or integer_of(settings.text("optimization-level") or "2") in {
        0,
        None,
    }:
        return False
    mode = table.get("cudagraph_mode")
    if mode is not None:
        return isinstance(mode, str) and mode.upper() == "FULL"
    return all(table.get(key) in (None, 3, "3", "VLLM_COMPILE") for key in ("mode", "level"))


def refusal(settings: Settings, table: Mapping[str, object], sizes: list[int] | None) -> str | None:
    """Why the sizes do not work, or None."""
    largest = settings.integer("max-cudagraph-capture-size")
    if largest is None:
        largest = integer_of(table.get("max_cudagraph_capture_size"))
    if largest is not None and largest < 1:
        return f"the largest CUDA graph has at least 1 sequence, not {largest}"
    if sizes is None:
        return None
    if not sizes:
        return "there is no size to capture CUDA graphs for"
    if max(sizes) < 0 and not settings.since("0.15.1"):
        return f"a CUDA graph for {max(sizes)} sequences cannot be"
    tokens = step_tokens(settings)
    if largest is None or tokens is None:
        return None
    if batch(settings).tokens is None and max(sizes) > tokens:
        return None
    fitting = max((size for size in sizes if size <= tokens), default=0)
    if fitting != largest:
        return f"the largest size is {fitting}, but {largest} is given as the largest"
    return None


def step_tokens(settings: Settings) -> int | None:
    """Tokens of a step; without a known GPU the smallest default, unless something may make it smaller."""
    tokens = batch(settings).tokens
    free = settings.given("max-num-seqs") is None and settings.given("max-model-len") is None
    return SMALL_GPU_TOKENS if tokens is None and free else tokens
