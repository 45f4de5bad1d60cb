"""An engine over several nodes needs sizes that divide by the nodes, a rank below their number and the ``mp`` backend.

A managed deployment is one machine: with more than one node the engine waits for the others for ever.

Wrong::

    --nnodes 2 --tensor-parallel-size 3

Right::

    --nnodes 2 --tensor-parallel-size 4
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "several-nodes"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("nnodes",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding, for the first condition that does not hold."""
    settings = Settings(context)
    nodes = settings.size("nnodes")
    backend = settings.text("data-parallel-backend") or "mp"
    if backend != "mp":
        if nodes != 1 and backend == "ray":
            message = f"several nodes need the data-parallel backend mp, not '{backend}'"
            yield context.error(CODE, settings.span("nnodes"), message)
        return
    if nodes <= 1:
        return
    reason = refusal(settings, nodes)
    if reason is not None:
        yield context.error(CODE, settings.span("nnodes"), reason)


def refusal(settings: Settings, nodes: int) -> str | None:
    """Why vLLM refuses the list, or None."""
    world = (
        settings.size("data-parallel-size")
        * settings.size("pipeline-parallel-size")
        * settings.size("tensor-parallel-size")
    )
    if world % nodes:
        return f"{world} GPUs cannot be split over {nodes} nodes"
    rank = settings.integer("node-rank") or 0
    if rank >= nodes:
        return f"node rank {rank} is not below the number of nodes, {nodes}"
    executor = settings.text("distributed-executor-backend")
    able = {None, "mp", "uni", "external_launcher"} if settings.since("0.15.1") else {None, "mp", "uni"}
    if executor not in able:
        return f"several nodes need the executor mp, not '{executor}'"
    return None
