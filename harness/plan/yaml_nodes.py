"""YAML text to nodes that keep their place. Pure: reads a string, not a file.

The events come from libyaml and are composed here, so that nesting, node count and the size of expanded aliases
are bounded while reading and duplicate keys are found. Scalars follow the YAML 1.2 core rules, and ``yes``, ``no``,
``on`` and ``off`` are switches as in YAML 1.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from harness.errors import ConfigError
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Plain, Scalar, Style, node_span
from harness.plan.spans import Source

if TYPE_CHECKING:
    from yaml import MarkedYAMLError
    from yaml.events import Event, ScalarEvent

MAX_DEPTH = 100
MAX_NODES = 400_000
MAX_EXPANDED = 1_000_000

_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_RADIX = re.compile(r"0o[0-7][0-7_]*|0x[0-9a-fA-F][0-9a-fA-F_]*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_SPECIAL = {
    sign + name: float(sign + name[1:])
    for name in (".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN")
    for sign in ("", "+", "-")
}
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+|#[^\n]*\n\s*)*")
_STYLES = {"'": Style.SINGLE, '"': Style.DOUBLE, "|": Style.BLOCK, ">": Style.BLOCK}


@dataclass(slots=True)
class _Open:
    """A list or mapping still being read; a mapping's keys and values alternate in ``children``."""

    event: Event
    is_mapping: bool
    children: list[Node] = field(default_factory=list)


def compose_yaml(source: Source, findings: Findings) -> tuple[Node, ...]:
    """The documents of a YAML text. Duplicate keys become findings; what cannot be read raises ConfigError."""
    import yaml

    composer = _Composer(source, findings)
    try:
        for event in yaml.parse(source.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = mark.index if mark is not None else 0
        message = f"not valid YAML: {error.problem or error.context}"
        raise findings.fatal((offset, offset + 1), message, hint=_context(error)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{source.path}: not valid YAML: {str(error).splitlines()[0]}") from None
    return tuple(composer.documents)


def _context(error: MarkedYAMLError) -> str | None:
    """What libyaml was reading, and where that began: ``while parsing a flow sequence that starts at 1:4``."""
    if not error.context or error.context_mark is None:
        return None
    return f"{error.context} that starts at {error.context_mark.line + 1}:{error.context_mark.column + 1}"


class _Composer:
    """Turns events into nodes; lives for one text."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.documents: list[Node] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        self.count = 0

    def take(self, event: Event) -> None:
        """One event: opens, closes or adds a node."""
        kind = type(event).__name__
        if kind in ("SequenceStartEvent", "MappingStartEvent"):
            self.open(event, is_mapping=kind == "MappingStartEvent")
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            self.close(event)
        elif kind == "ScalarEvent":
            event = cast("ScalarEvent", event)
            node = self.scalar(event)
            self.name(event, node)
            self.add(node)
        elif kind == "AliasEvent":
            self.add(self.alias(event))
        elif kind == "DocumentStartEvent":
            self.anchors.clear()

    def open(self, event: Event, *, is_mapping: bool) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.fatal(event, f"nested deeper than {MAX_DEPTH} levels")
        self.stack.append(_Open(event, is_mapping))
        self.name(event, None)

    def close(self, event: Event) -> None:
        top = self.stack.pop()
        flow = bool(getattr(top.event, "flow_style", False))
        start = self.after_properties(_start(top.event), _end(event))
        last = top.children[-1].end if top.children else start
        end = _end(event) if flow else max(start, last)
        node: Node
        if top.is_mapping:
            node = self.mapping(top, start, end, flow=flow)
        else:
            size = 1 + sum(child.size for child in top.children)
            node = Items(tuple(top.children), start, end, size, flow)
        self.name(top.event, node)
        self.add(node)

    def add(self, node: Node) -> None:
        self.count += 1
        if self.count > MAX_NODES:
            raise self.findings.fatal(node_span(node), f"more than {MAX_NODES} values in one file")
        if node.size > MAX_EXPANDED:
            raise self.findings.fatal(node_span(node), f"aliases expand to more than {MAX_EXPANDED} values")
        if self.stack:
            self.stack[-1].children.append(node)
        else:
            self.documents.append(node)

    def name(self, event: Event, node: Node | None) -> None:
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = node

    def alias(self, event: Event) -> Node:
        anchor = getattr(event, "anchor", "")
        if anchor not in self.anchors:
            raise self.fatal(event, f"no anchor &{anchor} before this alias")
        node = self.anchors[anchor]
        if node is None:
            raise self.fatal(event, f"*{anchor} stands inside the value it names")
        return node

    def fatal(self, event: Event, message: str) -> ConfigError:
        return self.findings.fatal((_start(event), _end(event)), message)

    def after_properties(self, start: int, end: int) -> int:
        """The start of a value behind its anchor and tag."""
        match = (
            _PROPERTIES.match(self.source.text, start, end)
            if self.source.text[start : start + 1] in "&!"
            else None
        )
        return match.end() if match is not None else start

    def scalar(self, event: ScalarEvent) -> Scalar:
        start = self.after_properties(_start(event), _end(event))
        end = max(start, _end(event))
        style = _STYLES.get(event.style or "", Style.PLAIN)
        if style is Style.BLOCK:
            end = start + len(self.source.text[start:end].rstrip())
        value: Plain = event.value
        if event.implicit[0] or (event.tag is not None and event.tag.startswith("tag:yaml.org,2002:")):
            value = event.value if (event.tag or "").endswith(":str") else resolve(event.value)
        return Scalar(value, event.value, start, end, style)

    def mapping(self, top: _Open, start: int, end: int, *, flow: bool) -> Entries:
        pairs: list[tuple[Scalar, Node]] = []
        merges: list[Node] = []
        seen: dict[str, Scalar] = {}
        for key, value in zip(top.children[::2], top.children[1::2], strict=True):
            if not isinstance(key, Scalar):
                raise self.findings.fatal(node_span(key), "a key must be a single text")
            if key.text == "<<" and key.style is Style.PLAIN:
                merges.append(value)
                continue
            if key.text in seen:
                line = self.source.position(seen[key.text].start)[0]
                self.findings.error(
                    "duplicate-key",
                    node_span(key),
                    f"the key {key.text!r} stands twice in one mapping",
                    note=f"first on line {line}",
                )
                continue
            seen[key.text] = key
            pairs.append((key, value))
        for merge in merges:
            for key, value in self.merged(merge):
                if key.text not in seen:
                    seen[key.text] = key
                    pairs.append((key, value))
        return Entries(tuple(pairs), start, end, 1 + sum(1 + value.size for _, value in pairs), flow)

    def merged(self, merge: Node) -> list[tuple[Scalar, Node]]:
        """The entries that ``<<`` brings in: of one mapping, or of a list of them, the earlier first."""
        sources = merge.items if isinstance(merge, Items) else (merge,)
        entries: list[tuple[Scalar, Node]] = []
        for source in sources:
            if not isinstance(source, Entries):
                raise self.findings.fatal(node_span(source), "<< takes a mapping or a list of mappings")
            entries += source.entries
        return entries


def _start(event: Event) -> int:
    return event.start_mark.index if event.start_mark is not None else 0


def _end(event: Event) -> int:
    return event.end_mark.index if event.end_mark is not None else 0


def resolve(text: str) -> Plain:
    """What an unquoted scalar means: nothing, a switch, a number, or the text itself."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in _SWITCH and (text.islower() or text.isupper() or text.istitle()):
        return _SWITCH[text.lower()]
    if _INT.fullmatch(text) and len(text) <= 1000:
        return int(text.replace("_", ""))
    if _RADIX.fullmatch(text):
        return int(text.replace("_", ""), 0)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return _SPECIAL.get(text, text)
