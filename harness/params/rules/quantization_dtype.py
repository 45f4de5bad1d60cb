"""The quantization method does not compute in the activation type.

Plain AWQ and GPTQ kernels compute in float16 only, and most checkpoints are bfloat16: add ``--dtype half`` or use the
Marlin kernels.

Wrong::

    --quantization awq    # model: llama-awq gpu-type: gpua5000

Right::

    --quantization awq --dtype half    # model: llama-awq gpu-type: gpua5000
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params import derivation
from harness.params.context import Context
from harness.params.quantization import method
from harness.params.settings import Settings

CODE = "quantization-dtype"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
# On these GPUs vLLM does not let GGUF compute in bfloat16.
GGUF_WITHOUT_BF16 = 100


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when the activation type is known and the method's types do not hold it."""
    if context.model is None:
        return
    settings = Settings(context)
    known, card = derivation.model(settings), derivation.gpu(settings)
    found = None if known is None else method(settings, known)
    if known is None or found is None or found.dtypes is None:
        return
    if (
        card is not None
        and found.min_capability is not None
        and card.compute_capability < found.min_capability
    ):
        return  # quantization-capability speaks
    dtypes = found.dtypes
    newest = card is not None and card.compute_capability >= GGUF_WITHOUT_BF16
    if found.name == "gguf" and newest and settings.since("0.15.1"):
        dtypes = tuple(name for name in dtypes if name != "bfloat16")
    dtype = derivation.dtype(settings, known)
    if dtype is None or dtype in dtypes:
        return
    yield context.error(
        CODE,
        settings.span("dtype", "quantization"),
        f"'{found.name}' computes in {' or '.join(dtypes)}, not in {dtype}",
        hint=f"--dtype {dtypes[0]}",
    )
