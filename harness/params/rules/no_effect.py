"""The flag changes nothing unless another one is given, or next to one that overrules it.

Wrong::

    --max-loras 4

Right::

    --max-loras 4 --enable-lora
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "no-effect"
STAGE = Stage.STYLE
SEVERITY = Severity.WARNING
# A flag and the switch without which nobody looks at it.
NEEDS = {
    **dict.fromkeys(
        ("max-loras", "max-lora-rank", "max-cpu-loras", "lora-dtype", "fully-sharded-loras"), "enable-lora"
    ),
    "kv-cache-metrics-sample": "kv-cache-metrics",
    "dbo-decode-token-threshold": "enable-dbo",
    "dbo-prefill-token-threshold": "enable-dbo",
    "expert-placement-strategy": "enable-expert-parallel",
    "all2all-backend": "enable-expert-parallel",
    # The server makes no parser without the switch, and refuses requests that leave the choice of tools to the model.
    "tool-call-parser": "enable-auto-tool-choice",
}
# A flag and the one that makes the engine ignore it.
OVERRULED = {
    "gpu-memory-utilization": "kv-cache-memory-bytes",
    "optimization-level": "enforce-eager",
    "cudagraph-capture-sizes": "enforce-eager",
    "max-cudagraph-capture-size": "enforce-eager",
}
FLAGS = (*NEEDS, *OVERRULED)


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per flag."""
    settings = Settings(context)
    for name, other in NEEDS.items():
        argument = settings.given(name)
        if argument is None or settings.switch(other) or argument.negated:
            continue
        if name == "all2all-backend" and (settings.switch("enable-dbo") or settings.integer("ubatch-size")):
            continue
        message = f"{argument.flag_text} does nothing without --{other}"
        yield context.warning(CODE, argument.flag_span, message)
    for name, other in OVERRULED.items():
        argument = settings.given(name)
        if argument is not None and settings.value(other) not in (None, False):
            message = f"{argument.flag_text} is overruled by --{other}"
            yield context.warning(CODE, argument.flag_span, message)
