"""Whether a fix mends: it is tried out on the list. Pure."""

from __future__ import annotations

from harness.diagnostics import Edit
from harness.params.argv import read
from harness.params.context import Context

# Fixes are tried out on lists up to this length.
MAX_TRIED = 200


def mends(fix: Edit, context: Context) -> bool:
    """Whether the parser has fewer complaints, or a warning's list still none, once the fix is applied."""
    if len(context.parameters) > MAX_TRIED:
        return True
    items = context.parameters
    mended = read((*items[: fix.first], *fix.items, *items[fix.last :]), context.grammar)
    return len(mended.problems) < max(1, len(context.reading.problems))
