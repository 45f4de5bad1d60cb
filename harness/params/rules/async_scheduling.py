"""Asynchronous scheduling was asked for together with something it cannot do.

It works with the executors ``mp``, ``uni`` and ``external_launcher``, with EAGLE and MTP speculation only, and in 0.12
without pipeline parallelism. Left to vLLM, it is switched off in these cases instead.

Wrong::

    --async-scheduling --speculative-config '{"method": "ngram", "num_speculative_tokens": 3}'

Right::

    --speculative-config '{"method": "ngram", "num_speculative_tokens": 3}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import speculation
from harness.params.lenient import truth
from harness.params.settings import Settings

CODE = "async-scheduling"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("async-scheduling",)
ABLE = {None, "mp", "uni", "external_launcher", "ray"}
WITHOUT_EAGLE = ("ngram", "[ngram]", "medusa", "mlp_speculator", "draft_model", "suffix")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, about what stands in the way."""
    settings = Settings(context)
    argument = settings.given("async-scheduling")
    if argument is None or not settings.switch("async-scheduling"):
        return
    reason = obstacle(settings)
    if reason is not None:
        fix = Edit(argument.index, argument.index + 1, (), f"remove {argument.flag_text}")
        yield context.error(
            CODE, argument.flag_span, f"asynchronous scheduling does not work with {reason}", fix=fix
        )


def obstacle(settings: Settings) -> str | None:
    """What it does not work with, in the list's own words."""
    if not settings.since("0.15.1") and settings.size("pipeline-parallel-size") > 1:
        return "pipeline parallelism in this version"
    table = speculation(settings)
    if table:
        method = table.get("method", table.get("model"))
        if method in WITHOUT_EAGLE:
            return f"speculation by {method}"
        if truth(table.get("disable_padded_drafter_batch", False)):
            return "disable_padded_drafter_batch"
    executor = settings.text("distributed-executor-backend")
    return None if executor in ABLE else f"executor '{executor}'"
