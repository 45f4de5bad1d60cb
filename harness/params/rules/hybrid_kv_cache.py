"""The hybrid KV-cache manager is demanded where vLLM cannot use it.

KV-cache events switch it off, and so do models with chunked local attention.

Wrong::

    --no-disable-hybrid-kv-cache-manager --kv-events-config '{}'    # engine-version: 0.15.1

Right::

    --kv-events-config '{}'    # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import model
from harness.params.model_config import integer, text_part
from harness.params.settings import Settings

CODE = "hybrid-kv-cache"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("disable-hybrid-kv-cache-manager",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for the explicit ``--no-disable-…`` of versions that insist on it."""
    settings = Settings(context)
    argument = settings.given("disable-hybrid-kv-cache-manager")
    if argument is None or not settings.since("0.15.1") or settings.switch(argument.name) is not False:
        return
    known = model(settings)
    chunked = known is not None and integer(text_part(known.source).get("attention_chunk_size")) is not None
    events = settings.table("kv-events-config") is not None
    if not events and not chunked:
        return
    reason = "KV-cache events" if events else "this model's chunked local attention"
    fix = Edit(argument.index, argument.index + 1, (), f"remove {argument.flag_text}")
    message = f"the hybrid KV-cache manager does not work with {reason}"
    yield context.error(CODE, argument.flag_span, message, fix=fix)
