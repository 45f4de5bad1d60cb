"""The data-parallel flags contradict each other.

``--data-parallel-rank`` (or ``--data-parallel-external-lb``) leaves balancing to something outside,
``--data-parallel-start-rank`` (or ``--data-parallel-hybrid-lb``) balances over the local ranks; a list uses one of the
two. Ranks and local sizes lie within ``--data-parallel-size``.

Wrong::

    --data-parallel-size 2 --data-parallel-rank 2

Right::

    --data-parallel-size 2 --data-parallel-rank 1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "data-parallel"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = (
    "data-parallel-rank", "data-parallel-start-rank", "data-parallel-size-local", "data-parallel-external-lb",
    "data-parallel-hybrid-lb",
)  # fmt: skip


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, for the first contradiction vLLM meets."""
    settings = Settings(context)
    if settings.given("data-parallel-size") is not None and settings.integer("data-parallel-size") == 0:
        return  # parallel-size speaks
    reason = refusal(settings)
    if reason is not None:
        yield context.error(CODE, settings.span(*FLAGS), reason)


def refusal(settings: Settings) -> str | None:
    """Why the flags do not go together, in the order vLLM checks them."""
    external, hybrid = (
        settings.switch("data-parallel-external-lb"),
        settings.switch("data-parallel-hybrid-lb"),
    )
    rank, start = settings.integer("data-parallel-rank"), settings.integer("data-parallel-start-rank")
    local, size = settings.integer("data-parallel-size-local"), settings.size("data-parallel-size")
    if settings.since("0.15.1") and (external or rank is not None) and (hybrid or start is not None):
        return "external (rank) and hybrid (start rank) load balancing exclude each other"
    if external and hybrid:
        return "--data-parallel-external-lb and --data-parallel-hybrid-lb exclude each other"
    if settings.size("nnodes") > 1:
        return None if settings.size("nnodes") > size else _nodes_refusal(settings)
    if external or rank is not None:
        return _external_refusal(rank, local=local, size=size)
    if local is None:
        return "--data-parallel-hybrid-lb needs --data-parallel-size-local" if hybrid else None
    return _local_refusal(local, start=start, hybrid=bool(hybrid or start), size=size)


def _nodes_refusal(settings: Settings) -> str | None:
    """Over several nodes vLLM fills ranks and local sizes in by itself; only plain excess is judged here."""
    local, size = settings.integer("data-parallel-size-local"), settings.size("data-parallel-size")
    if local is not None and local > size > 0:
        return f"local size {local} is above the data-parallel size {size}"
    return None


def _external_refusal(rank: int | None, *, local: int | None, size: int) -> str | None:
    if rank is None:
        return "--data-parallel-external-lb needs --data-parallel-rank"
    if local not in (1, None):
        return f"with a data-parallel rank the local size is 1, not {local}"
    if size <= 1:
        return f"a data-parallel rank needs --data-parallel-size above 1, not {size}"
    if not 0 <= rank < size:
        return f"data-parallel rank {rank} is not between 0 and {size - 1}"
    return None


def _local_refusal(local: int, *, start: int | None, hybrid: bool, size: int) -> str | None:
    first = start or 0
    if (size > 1 or local == 0) and not 0 <= first < size:
        return f"start rank {first} is not between 0 and {size - 1}"
    size = max(size, 1)
    if local > size:
        return f"local size {local} is above the data-parallel size {size}"
    if hybrid and local == 1 and size <= 1:
        return "load balancing over ranks needs --data-parallel-size above 1"
    return None
