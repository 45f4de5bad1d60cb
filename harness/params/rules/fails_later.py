"""The configuration is built, and the engine fails or serves nothing a little later.

Values that no check of vLLM's configuration looks at: no cache blocks, a seed the random generators do not take, a
generation configuration that is read as a path, a share of memory that leaves nothing for the driver's own context, a
model that generates text run as one that pools.

Wrong::

    --num-gpu-blocks-override 0

Right::

    --num-gpu-blocks-override 1000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, gpu, model
from harness.params.settings import Settings

CODE = "fails-later"
STAGE = Stage.STARTUP
SEVERITY = Severity.WARNING
SEEDS = 1 << 32
FLAGS = (
    "num-gpu-blocks-override", "kv-cache-memory-bytes", "seed", "generation-config", "runner", "gpu-memory-utilization",
)  # fmt: skip


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per flag."""
    settings = Settings(context)
    for name, reason in (
        ("num-gpu-blocks-override", blocks(settings)),
        ("kv-cache-memory-bytes", cache_bytes(settings)),
        ("seed", seed(settings)),
        ("generation-config", generation(settings)),
        ("runner", pooling(settings)),
        ("gpu-memory-utilization", share(settings)),
    ):
        if reason is not None and settings.given(name) is not None:
            yield context.warning(CODE, settings.span(name), reason)


def blocks(settings: Settings) -> str | None:
    """One block is never given out: with it alone every request waits for ever."""
    count = settings.integer("num-gpu-blocks-override")
    if count is None or count > 1:
        return None
    return f"with {count} cache block{'s' * (count != 1)} no request is ever served"


def cache_bytes(settings: Settings) -> str | None:
    """A cache of no size."""
    size = settings.integer("kv-cache-memory-bytes")
    return None if size is None or size > 0 else f"a KV cache of {size} bytes holds nothing"


def seed(settings: Settings) -> str | None:
    """The generators take 32 bits without a sign."""
    value = settings.integer("seed")
    return None if value is None or 0 <= value < SEEDS else f"a seed lies between 0 and {SEEDS - 1}"


def generation(settings: Settings) -> str | None:
    """Anything but the two words is looked for as a folder or a repository."""
    text = settings.text("generation-config")
    if text is None or text in {"auto", "vllm"}:
        return None
    return f"'{text}' is read as a path to a model; auto and vllm are the words it knows"


def pooling(settings: Settings) -> str | None:
    """Completions of a model that pools are answered with errors."""
    known = model(settings)
    found = None if known is None else architecture(settings, known)
    if settings.text("runner") != "pooling" or found is None or found.pools or not found.generates:
        return None
    return "a model that generates text answers no completions as a pooling model"


def share(settings: Settings) -> str | None:
    """The driver's context on the GPU is taken before vLLM asks for its share."""
    part, card = settings.number("gpu-memory-utilization"), gpu(settings)
    if part is None or card is None or not 0 < part <= 1:
        return None
    from harness.forecast.startup_check import CONTEXT_BYTES

    if card.vram_bytes * part <= card.vram_bytes - CONTEXT_BYTES:
        return None
    return f"{part:g} of the memory is more than the driver leaves free on {card.name}"
