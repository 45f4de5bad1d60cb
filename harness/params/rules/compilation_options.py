"""A list inside ``--compilation-config`` holds something the compiler cannot use.

Wrong::

    --compilation-config '{"compile_sizes": ["all"]}'

Right::

    --compilation-config '{"compile_sizes": ["cudagraph_capture_sizes"]}'
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.settings import Settings

CODE = "compilation-options"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("compilation-config",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per list."""
    settings = Settings(context)
    table = settings.table("compilation-config") or {}
    span = settings.span("compilation-config")
    sizes = table.get("compile_sizes")
    for size in sizes if isinstance(sizes, list) else ():
        if (
            isinstance(size, str)
            and size != "cudagraph_capture_sizes"
            and not size.strip().lstrip("+-").isdigit()
        ):
            message = f"compile_sizes holds numbers or 'cudagraph_capture_sizes', not '{size}'"
            yield context.error(CODE, span, message)
            break
    points = table.get("compile_ranges_split_points")
    for point in points if isinstance(points, list) and settings.since("0.15.1") else ():
        if isinstance(point, int) and not isinstance(point, bool) and point <= 0:
            yield context.error(CODE, span, f"compile_ranges_split_points are above 0, not {point}")
            break
