"""The flag makes the engine run code, or open files and addresses, that do not come with it.

A managed deployment has the engine's own packages only. ``--trust-remote-code`` runs Python from the model's
repository with the engine's rights.

Wrong::

    --trust-remote-code

Right::

    --model-impl auto
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context

CODE = "foreign-code"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
REASONS = {
    "trust-remote-code": "runs code from the model's repository",
    **dict.fromkeys(
        ("middleware", "logits-processors", "scheduler-cls", "worker-cls", "worker-extension-cls",
         "io-processor-plugin", "tool-parser-plugin", "reasoning-parser-plugin"),
        "needs code that a deployment does not have",
    ),
    **dict.fromkeys(("log-config-file", "allowed-local-media-path"), "names files that a deployment does not have"),
    **dict.fromkeys(("tool-server", "otlp-traces-endpoint"), "names an address the deployment may not reach"),
    "kv-transfer-config": "connects the deployment to others",
}  # fmt: skip
DEFAULTS = {"worker-cls": "auto"}
FLAGS = tuple(REASONS)


def check(context: Context) -> Iterator[Diagnostic]:
    """One warning per flag that is in force."""
    for name, reason in REASONS.items():
        argument = context.last(name)
        if argument is None or argument.negated or argument.value in {"", "None", DEFAULTS.get(name, "")}:
            continue
        yield context.warning(CODE, argument.flag_span, f"{argument.flag_text} {reason}")
