"""Reads typed values out of nodes; what does not fit becomes a finding with its place. Pure.

Every method answers None (or an empty collection) for a value it has reported, so that reading goes on and all of a
file's mistakes are shown at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.plan.findings import Findings, did_you_mean
from harness.plan.nodes import Entries, Items, Node, Scalar, describe, node_span, shorten
from harness.plan.spans import Source
from harness.units import parse_duration


class Reader:
    """The findings of one file and the ways to read a value; lives while the file is read."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.findings = findings

    def error(
        self, code: str, node: Node, message: str, *, note: str | None = None, hint: str | None = None
    ) -> None:
        """Notes an error at a node."""
        self.findings.error(code, node_span(node), message, note=note, hint=hint)

    def wrong(self, node: Node, name: str, wanted: str, *, hint: str | None = None) -> None:
        """Notes that ``name`` must be something else than what the node is."""
        self.error("type", node, f"{name} must be {wanted}, not {describe(node)}", hint=hint)

    def entries(self, node: Node, name: str, known: Iterable[str] | None = None) -> dict[str, Node]:
        """A mapping's values by key. Keys outside ``known`` are reported, with the nearest known one."""
        if not isinstance(node, Entries):
            self.wrong(node, name, "a mapping")
            return {}
        allowed = None if known is None else tuple(known)
        values: dict[str, Node] = {}
        for key, value in node.entries:
            if allowed is None or key.text in allowed:
                values[key.text] = value
                continue
            near = None if self.findings.is_full else did_you_mean(key.text, allowed)
            note = near or f"one of: {', '.join(allowed)}"
            self.error("unknown-key", key, f"{name} has no key {shorten(key.text)!r}", note=note)
        return values

    def items(self, node: Node, name: str) -> Sequence[Node]:
        """A list's items; a single value that is not a mapping stands for a list of one."""
        if isinstance(node, Items):
            return node.items
        if isinstance(node, Entries) or node.value is None:
            self.wrong(node, name, "a list")
            return ()
        return (node,)

    def text(self, node: Node, name: str) -> str | None:
        """A text; numbers and switches are refused, for their text is not what was written."""
        if not isinstance(node, Scalar):
            self.wrong(node, name, "a text")
            return None
        if isinstance(node.value, str):
            return node.value
        hint = f'write it in quotes: "{node.text}"' if node.value is not None else None
        self.wrong(node, name, "a text", hint=hint)
        return None

    def word(self, node: Node, name: str, allowed: Sequence[str]) -> str | None:
        """One of a fixed list of texts."""
        text = self.text(node, name)
        if text is None or text in allowed:
            return text
        note = did_you_mean(text, allowed) or f"one of: {', '.join(allowed)}"
        self.error("value", node, f"{name} cannot be {shorten(text)!r}", note=note)
        return None

    def integer(
        self, node: Node, name: str, *, minimum: int | None = None, maximum: int | None = None
    ) -> int | None:
        """A whole number within its limits, both inclusive."""
        if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
            self.wrong(node, name, "a whole number")
            return None
        if (minimum is not None and node.value < minimum) or (maximum is not None and node.value > maximum):
            limits = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
            self.error("value", node, f"{name} must be {limits}, not {shorten(node.text)}")
            return None
        return node.value

    def number(
        self,
        node: Node,
        name: str,
        *,
        above: float | None = None,
        least: float | None = None,
        most: float = math.inf,
    ) -> float | None:
        """A finite number, greater than ``above``, not less than ``least``, not greater than ``most``."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(node, name, "a number")
            return None
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
        too_low = (above is not None and result <= above) or (least is not None and result < least)
        if not math.isfinite(result) or too_low:
            limit = "finite" if above is None else f"above {above:g}"
            limit = limit if least is None else f"{least:g} or more"
            self.error("value", node, f"{name} must be {limit}, not {describe(node)}")
            return None
        if result > most:
            self.error("value", node, f"{name} must be {most:,.0f} or less, not {describe(node)}")
            return None
        return result

    def switch(self, node: Node, name: str) -> bool | None:
        """True or false."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong(node, name, "true or false")
        return None

    def duration(self, node: Node, name: str, *, zero: bool = False) -> float | None:
        """Seconds of a duration: ``30s``, ``5m``, ``1h30m``, or a number of seconds."""
        value = node.value if isinstance(node, Scalar) else None
        if value is None or isinstance(value, bool):
            self.wrong(node, name, "a duration such as 30s, 5m or 1h30m")
            return None
        try:
            seconds = parse_duration(str(value))
        except ValueError as error:
            self.error("value", node, f"{name}: {error}")
            return None
        if seconds == 0 and not zero:
            self.error("value", node, f"{name} must be longer than nothing")
            return None
        return seconds
