"""A parsed file as nodes that keep their place: the common form of YAML, JSON and TOML. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from harness.plan.align import align
from harness.plan.spans import LocatedText, Source, Span

Plain = str | int | float | bool | None


class Style(StrEnum):
    """How a scalar is written, which decides how its characters are found again."""

    PLAIN = "plain"
    SINGLE = "single-quoted"
    DOUBLE = "double-quoted"
    BLOCK = "block"
    JSON = "json"
    TOML = "toml"


class Scalar(NamedTuple):
    """A single value. ``text`` is what was written, unquoted; ``value`` what it means."""

    value: Plain
    text: str
    start: int
    end: int
    style: Style = Style.PLAIN
    size: int = 1

    def located(self, source: Source) -> LocatedText:
        """The scalar's text with the place of each character, where that can be derived."""
        spans = align(source.text, self.text, self.start, self.end, self.style.value)
        return LocatedText(source, self.text, (self.start, self.end), spans, form=self.style.value)


class Items(NamedTuple):
    """A list. ``size`` counts its nodes with every alias expanded."""

    items: tuple[Node, ...]
    start: int
    end: int
    size: int
    flow: bool = False


class Entries(NamedTuple):
    """A mapping, in the file's order; keys are texts. ``size`` counts its nodes with every alias expanded."""

    entries: tuple[tuple[Scalar, Node], ...]
    start: int
    end: int
    size: int
    flow: bool = False

    def get(self, key: str) -> Node | None:
        """The value under ``key``, or None."""
        return next((value for name, value in self.entries if name.text == key), None)

    def keys(self) -> Iterator[str]:
        """The keys' texts, in order."""
        return (name.text for name, _ in self.entries)


Node = Scalar | Items | Entries


def node_span(node: Node) -> Span:
    """Where the node stands in its file."""
    return node.start, node.end


def describe(node: Node) -> str:
    """What a node is, for messages: ``a list``, ``the text 'x'``, ``the number 0.15``."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Entries):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return f"the switch {node.text}"
    if isinstance(node.value, int | float):
        return f"the number {node.text}"
    return f"the text {shorten(node.text)!r}"


def shorten(text: str, limit: int = 60) -> str:
    """``text`` cut to ``limit`` characters, the cut shown."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(node: Node) -> Any:
    """The node as plain values: dicts, lists, texts, numbers; a later key wins over an earlier one."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}
