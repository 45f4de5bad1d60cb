"""Parameter sets of a sweep file: from lists and mappings to argument lists, each item with its place. Pure.

A mapping's entry ``flag: value`` means: true ``--flag``, false ``--no-flag``, null nothing, a scalar ``--flag=value``
with the value as written, a mapping ``--flag={JSON}``. A list means one set for each of its values; a list inside
that list is one value of several items (``--flag a b``), or JSON when it holds a mapping.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

from harness.plan.config import ParameterSet
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span
from harness.plan.reader import Reader
from harness.plan.spans import LocatedText, Source, Span, join

LINK = "link"
MAX_SETS = 10_000

Choice = tuple[str, tuple[LocatedText, ...]]


def read_sets(reader: Reader, node: Node) -> dict[str, ParameterSet]:
    """Every set under ``parameters:`` by its name, in the file's order."""
    sets: dict[str, ParameterSet] = {}
    for name, definition, place in _definitions(reader, node):
        for made in expand_set(reader, name, definition, place):
            if made.name in sets:
                reader.error("duplicate-set", definition, f"the parameter set {made.name!r} exists twice")
                continue
            sets[made.name] = made
            if len(sets) > MAX_SETS:
                reader.error("value", definition, f"more than {MAX_SETS} parameter sets")
                return sets
    if not reader.findings.has_errors:
        _report_equal_sets(reader, node, sets)
    return sets


def _report_equal_sets(reader: Reader, node: Node, sets: dict[str, ParameterSet]) -> None:
    by_parameters: dict[tuple[str, ...], str] = {}
    for made in sets.values():
        first = by_parameters.setdefault(made.parameters, made.name)
        if first != made.name:
            message = f"the parameter sets {first!r} and {made.name!r} are the same list"
            place = made.place or node_span(node)
            reader.findings.error("duplicate-set", place, message, hint="remove one of them")


def _definitions(reader: Reader, node: Node) -> Iterator[tuple[str | None, Node, Span]]:
    if isinstance(node, Entries):
        yield from ((key.text, value, node_span(key)) for key, value in node.entries)
    elif isinstance(node, Items):
        for item in node.items:
            if isinstance(item, Scalar):
                message = "each entry of matrix.parameters is a set: a list of items or a mapping"
                reader.error("type", item, message, hint=f"write [{item.text}] for a set of one item")
            else:
                yield None, item, node_span(item)
    else:
        reader.wrong(node, "matrix.parameters", "a mapping of named sets or a list of sets")


def expand_set(
    reader: Reader, name: str | None, node: Node, place: Span | None = None
) -> Iterator[ParameterSet]:
    """The sets one definition stands for: one for a list, the product of its values for a mapping."""
    if isinstance(node, Items) or (isinstance(node, Scalar) and node.value is None):
        items = read_items(reader, node, "a parameter set")
        own = name or " ".join(item.text for item in items) or "default"
        yield ParameterSet(own, own, items, place)
    elif isinstance(node, Entries):
        yield from _product(reader, name, node, place)
    else:
        reader.wrong(node, f"the parameter set {name!r}", "a list of items or a mapping of flags")


def read_items(reader: Reader, node: Node, name: str) -> tuple[LocatedText, ...]:
    """A literal argument list: texts as they are, numbers as written."""
    if isinstance(node, Scalar) and node.value is None:
        return ()
    if not isinstance(node, Items):
        reader.wrong(node, name, "a list of arguments")
        return ()
    items = []
    for item in node.items:
        if isinstance(item, Scalar) and item.value is not None and not isinstance(item.value, bool):
            items.append(item.located(reader.source))
        else:
            reader.wrong(item, "an argument", "a text", hint='write it in quotes, as "--flag=value"')
    return tuple(items)


def _product(reader: Reader, name: str | None, node: Entries, place: Span | None) -> Iterator[ParameterSet]:
    linked = _linked_flags(reader, node)
    dimensions: list[list[tuple[Choice, ...]]] = []
    if linked:
        columns = [_choices(reader, key, value) for key, value in node.entries if key.text in linked]
        lengths = {len(column) for column in columns}
        if len(lengths) > 1:
            sizes = ", ".join(f"{flag} {len(column)}" for flag, column in zip(linked, columns, strict=False))
            reader.error("link", node.get(LINK) or node, f"linked flags need equally many values: {sizes}")
            return
        dimensions.append(list(zip(*columns, strict=True)))
    for key, value in node.entries:
        if key.text != LINK and key.text not in linked:
            dimensions.append([(choice,) for choice in _choices(reader, key, value)])
    varied = {id(dimension) for dimension in dimensions if len(dimension) > 1}
    for combination in itertools.product(*dimensions):
        labels = [
            label
            for dimension, picked in zip(dimensions, combination, strict=True)
            for label, _ in picked
            if name is None or id(dimension) in varied
        ]
        items = tuple(item for picked in combination for _, items in picked for item in items)
        full = ",".join(labels) if name is None else f"{name}[{','.join(labels)}]" if labels else name
        yield ParameterSet(full or "default", name or full or "default", items, place)


def _linked_flags(reader: Reader, node: Entries) -> tuple[str, ...]:
    link = node.get(LINK)
    if link is None:
        return ()
    names = []
    for item in reader.items(link, LINK):
        flag = reader.text(item, "a linked flag")
        if flag is not None and node.get(flag) is None:
            reader.error("link", item, f"{flag!r} is linked but has no values in this set")
        elif flag is not None:
            names.append(flag)
    return tuple(key.text for key, _ in node.entries if key.text in names)


def _choices(reader: Reader, key: Scalar, value: Node) -> list[Choice]:
    """What one ``flag: value`` can become: a label and its items, one pair for each value listed."""
    if not isinstance(value, Items):
        return [_choice(reader.source, key, value)]
    if not value.items:
        reader.error("value", value, f"{key.text!r} has an empty list of values")
    return [_choice(reader.source, key, item) for item in value.items]


def _choice(source: Source, key: Scalar, value: Node) -> Choice:
    flag = key.text if key.text.startswith("-") else f"--{key.text}"
    name = flag.lstrip("-")
    if isinstance(value, Scalar):
        if value.value is None:
            return f"no {name}", ()
        if value.value is True:
            return name, (_flag_text(source, key, flag),)
        if value.value is False:
            return f"no-{name}", (_flag_text(source, key, f"--no-{name}"),)
        item = join([_flag_text(source, key, f"{flag}="), value.located(source)])
        return f"{name}={value.text}", (item,)
    if isinstance(value, Items) and all(isinstance(item, Scalar) for item in value.items):
        texts = [item.located(source) for item in value.items if isinstance(item, Scalar)]
        return f"{name}={' '.join(text.text for text in texts)}", (_flag_text(source, key, flag), *texts)
    item = join([_flag_text(source, key, f"{flag}="), *_json_parts(source, value)])
    return item.text.lstrip("-"), (item,)


def _flag_text(source: Source, key: Scalar, text: str) -> LocatedText:
    """``text`` made from a key: every character stands at the key."""
    place = key.located(source)
    offset = text.find(key.text)
    if place.spans is None or offset < 0 or not place.spans:
        return LocatedText(source, text, place.whole)
    before, after = (place.spans[0],) * offset, (place.spans[-1],) * (len(text) - offset - len(key.text))
    return LocatedText(source, text, place.whole, (*before, *place.spans, *after))


def _json_parts(source: Source, node: Node) -> Sequence[LocatedText]:
    """Compact JSON of a node, in pieces that stand where their values do."""
    span = node_span(node)
    opening = (span[0], span[0] + 1)
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and json.dumps(node.value, ensure_ascii=False)[1:-1] == node.value:
            quote = LocatedText(source, '"', span)
            return [quote, node.located(source), quote] if node.value else [LocatedText(source, '""', span)]
        return [LocatedText(source, json.dumps(node.value, ensure_ascii=False), span)]
    parts = [LocatedText(source, "{" if isinstance(node, Entries) else "[", opening)]
    pairs = node.entries if isinstance(node, Entries) else tuple((None, item) for item in node.items)
    for index, (key, value) in enumerate(pairs):
        if index:
            parts.append(LocatedText(source, ",", node_span(value)))
        if key is not None:
            parts += _json_parts(source, Scalar(key.text, key.text, key.start, key.end, key.style))
            parts.append(LocatedText(source, ":", node_span(key)))
        parts += _json_parts(source, value)
    closing = (max(span[1] - 1, span[0]), span[1])
    return [*parts, LocatedText(source, "}" if isinstance(node, Entries) else "]", closing)]
