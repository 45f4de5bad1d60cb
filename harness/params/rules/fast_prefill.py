"""Skipping layers of the prompt leaves no numbers for EAGLE, which speculates from every token of it.

Wrong::

    --kv-sharing-fast-prefill --speculative-config '{"method": "eagle", "model": "a/b", "num_speculative_tokens": 3}'

Right::

    --kv-sharing-fast-prefill --speculative-config '{"method": "ngram", "num_speculative_tokens": 3}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import speculation
from harness.params.rules.managed_flag import removal
from harness.params.settings import Settings

CODE = "fast-prefill"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("kv-sharing-fast-prefill",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding when both are asked for."""
    settings = Settings(context)
    argument = settings.given("kv-sharing-fast-prefill")
    method = (speculation(settings) or {}).get("method")
    if argument is None or not settings.switch(argument.name) or not isinstance(method, str):
        return
    if method in {"eagle", "eagle3"} or method.endswith("mtp"):
        message = f"{argument.flag_text} does not work with speculation by {method}"
        yield context.error(CODE, argument.flag_span, message, fix=removal(argument))
