"""The engine has this parameter, and the platform does not list it among those it accepts.

Only known when the platform's own help document is at hand (``--live``, ``harness params fetch``): a deployment with
such a parameter is refused when it is created. The shipped documents list what the engine itself has.

Wrong::

    --uds /run/engine.sock   # offered: max-num-seqs

Right::

    --max-num-seqs 64   # offered: max-num-seqs
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context

CODE = "not-offered"
STAGE = Stage.PLATFORM
SEVERITY = Severity.ERROR


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each parameter in use that the document leaves out."""
    if not context.offered:
        return
    for name, arguments in context.reading.by_name.items():
        if name in context.offered:
            continue
        message = f"the platform does not offer --{name} for vLLM {context.version}"
        source = context.help.provenance.get("source")
        for argument in arguments:
            yield context.error(
                CODE, argument.flag_span, message, note=f"not listed by {source}" if source else None
            )
