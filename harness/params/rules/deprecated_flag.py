"""The flag is still read, with a warning, and will go away.

Wrong::

    --disable-log-requests

Right::

    --no-enable-log-requests
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal

CODE = "deprecated-flag"
STAGE = Stage.STYLE
SEVERITY = Severity.WARNING
# What to write instead; flags that do nothing have no replacement.
INSTEAD = {
    "task": "--runner or --convert",
    "cuda-graph-sizes": "--cudagraph-capture-sizes",
    "enable-multimodal-encoder-data-parallel": "--mm-encoder-tp-mode data",
    "disable-mm-preprocessor-cache": "--mm-processor-cache-gb 0",
}
NO_EFFECT = {"disable-log-requests": "requests are logged only with --enable-log-requests"}


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per deprecated flag."""
    for name, uses in context.reading.by_name.items():
        argument = uses[-1]
        if not argument.option.deprecated:
            continue
        message = f"{argument.flag_text} is deprecated in vLLM {context.version}"
        if name in NO_EFFECT:
            fix = removal(argument)
            yield context.warning(CODE, argument.flag_span, message, hint=NO_EFFECT[name], fix=fix)
        else:
            instead = INSTEAD.get(name)
            yield context.warning(
                CODE, argument.flag_span, message, hint=f"write {instead}" if instead else None
            )
