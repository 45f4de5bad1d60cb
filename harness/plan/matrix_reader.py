"""Reads the axes of a sweep file, and what it excludes and includes. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from harness.plan.config import AXES, AxisValue, Matrix, ParameterSet
from harness.plan.findings import did_you_mean
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span, shorten
from harness.plan.parameter_sets import read_items, read_sets
from harness.plan.reader import Reader
from harness.plan.spans import Span

MAX_GPUS = 8
MAX_CELLS = 1_000_000
MAX_ENTRIES = 200
_REQUIRED = ("gpu-type", "engine-version", "model")
_SINGLE = tuple(axis for axis in AXES if axis != "parameters")


def read_matrix(reader: Reader, top: Mapping[str, Node], root: Node) -> Matrix:
    """The matrix of a sweep file: axes inside ``matrix:``, single values beside it, ``include`` and ``exclude``."""
    node = top.get("matrix")
    inner = {} if node is None else reader.entries(node, "matrix", (*AXES, "exclude", "include"))
    sets = read_sets(reader, inner["parameters"]) if "parameters" in inner else {}
    axes = {name: _axis(reader, name, value, sets) for name, value in inner.items() if name in AXES}
    axes = {name: values for name, values in axes.items() if values}
    fixed = _fixed(reader, top, inner)
    common = read_items(reader, top["parameters"], "parameters") if "parameters" in top else ()
    exclude = _partials(reader, "exclude", top, inner, axes, sets)
    include = _partials(reader, "include", top, inner, axes, sets)
    _require(reader, root, axes, fixed, include, {*inner, *top})
    keys = root.entries if isinstance(root, Entries) else ()
    place = next((node_span(key) for key, _ in keys if key.text == "matrix"), node_span(_first_key(root)))
    cells = math.prod(len(values) for values in axes.values())
    if cells > MAX_CELLS:
        reader.findings.error(
            "value", place, f"the matrix has {cells:,} combinations; at most {MAX_CELLS:,} are expanded"
        )
        return Matrix({}, place=place)
    return Matrix(axes, exclude, include, fixed, sets, common, place, _gpu_places((top, inner)))


def _gpu_places(holders: Iterable[Mapping[str, Node]]) -> dict[str, Span]:
    """Where each GPU family is first written: on its axis, beside the matrix, or in an included combination."""
    nodes: list[Node] = []
    for holder in holders:
        included = holder.get("include")
        entries = included.items if isinstance(included, Items) else ()
        mappings = [entry.get("gpu-type") for entry in entries if isinstance(entry, Entries)]
        nodes += [node for node in (holder.get("gpu-type"), *mappings) if node is not None]
    places: dict[str, Span] = {}
    for node in nodes:
        for item in node.items if isinstance(node, Items) else (node,):
            if isinstance(item, Scalar) and isinstance(item.value, str):
                places.setdefault(item.value, node_span(item))
    return places


def _axis(reader: Reader, name: str, node: Node, sets: Mapping[str, ParameterSet]) -> tuple[AxisValue, ...]:
    if name == "parameters":
        return tuple(sets)
    values: dict[AxisValue, None] = {}
    items = reader.items(node, f"matrix.{name}")
    if isinstance(node, Entries) or (not items and not isinstance(node, Scalar)):
        if not isinstance(node, Entries):
            reader.error("value", node, f"matrix.{name} has no values")
        return ()
    for item in items:
        value = read_axis_value(reader, name, item)
        if value is not None and value in values:
            reader.error("duplicate-value", item, f"{name} {value!r} stands twice in the matrix")
        elif value is not None:
            values[value] = None
    return tuple(values)


def read_axis_value(reader: Reader, name: str, node: Node) -> AxisValue | None:
    """One value of an axis, checked; None when it was reported."""
    if name == "gpu-count":
        return reader.integer(node, name, minimum=1, maximum=MAX_GPUS)
    if name == "replicas":
        return reader.integer(node, name, minimum=1)
    if name == "engine-version" and isinstance(node, Scalar) and isinstance(node.value, int | float):
        reader.wrong(
            node, name, "a text", hint=f'write the whole version in quotes, as "{_whole_version(node.text)}"'
        )
        return None
    text = reader.text(node, name)
    if text is not None and not text.strip():
        reader.error("value", node, f"{name} is empty")
        return None
    if text is not None and name == "model" and any(character.isspace() for character in text):
        reader.error("value", node, f"no model is called {shorten(text)!r}", note="as owner/model")
        return None
    return text


def _whole_version(text: str) -> str:
    """The known version that a number was cut from; the number itself when there is none."""
    from harness.params.snapshots import known_versions

    return next((version for version in known_versions() if version.startswith(f"{text}.")), text)


def _fixed(reader: Reader, top: Mapping[str, Node], inner: Mapping[str, Node]) -> dict[str, AxisValue]:
    fixed: dict[str, AxisValue] = {}
    for name in _SINGLE:
        if name not in top:
            continue
        if name in inner:
            reader.error("duplicate-axis", top[name], f"{name} stands both here and in the matrix")
            continue
        value = read_axis_value(reader, name, top[name])
        if value is not None:
            fixed[name] = value
    return fixed


def _partials(
    reader: Reader,
    kind: str,
    top: Mapping[str, Node],
    inner: Mapping[str, Node],
    axes: Mapping[str, tuple[AxisValue, ...]],
    sets: Mapping[str, ParameterSet],
) -> tuple[Mapping[str, AxisValue], ...]:
    """The entries of ``exclude`` or ``include``, written beside the matrix or inside it."""
    found: list[Mapping[str, AxisValue]] = []
    for holder in (top, inner):
        nodes = reader.items(holder[kind], kind) if kind in holder else ()
        if len(nodes) > MAX_ENTRIES:
            reader.error(
                "value", holder[kind], f"{kind} has {len(nodes):,} entries; at most {MAX_ENTRIES} are read"
            )
        for node in nodes[:MAX_ENTRIES]:
            entry = _partial(reader, kind, node, axes, sets)
            if entry:
                found.append(entry)
    return tuple(found)


def _partial(
    reader: Reader,
    kind: str,
    node: Node,
    axes: Mapping[str, tuple[AxisValue, ...]],
    sets: Mapping[str, ParameterSet],
) -> dict[str, AxisValue]:
    entry: dict[str, AxisValue] = {}
    for name, value in reader.entries(node, f"an {kind} entry", AXES).items():
        read = read_axis_value(reader, name, value)
        if read is None:
            continue
        if name == "parameters" and not _names_set(sets, str(read)):
            listed = ", ".join([*list(sets)[:8], *(["…"] if len(sets) > 8 else [])])
            note = did_you_mean(str(read), sets) or f"one of: {listed or 'none is defined'}"
            reader.error("value", value, f"no parameter set is called {shorten(str(read))!r}", note=note)
        elif kind == "exclude" and name not in axes:
            reader.error(
                "value", value, f"{name} is not an axis of this matrix, so nothing can be excluded by it"
            )
        elif kind == "exclude" and name != "parameters" and read not in axes[name]:
            reader.findings.warning(
                "no-effect",
                (value.start, value.end),
                f"the matrix has no {name} {read!r}, so this excludes nothing",
            )
            entry[name] = read
        else:
            entry[name] = read
    if kind == "include" and "parameters" in entry and entry["parameters"] not in sets:
        members = [name for name, made in sets.items() if made.group == entry["parameters"]]
        if len(members) > 1 and "parameters" not in axes:
            reader.error(
                "value", node, f"{entry['parameters']!r} stands for {len(members)} sets; name one of them"
            )
    return entry


def _names_set(sets: Mapping[str, ParameterSet], name: str) -> bool:
    return name in sets or any(made.group == name for made in sets.values())


def _require(
    reader: Reader,
    root: Node,
    axes: Mapping[str, tuple[AxisValue, ...]],
    fixed: Mapping[str, AxisValue],
    include: tuple[Mapping[str, AxisValue], ...],
    written: set[str],
) -> None:
    """Every cell needs a GPU type, an engine version and a model."""
    for name in _REQUIRED:
        if name in axes or name in fixed or name in written:
            continue
        if not axes and include and all(name in entry for entry in include):
            continue
        reader.error("missing", _first_key(root), f"{name} is missing: give it in the matrix or beside it")
    for entry in include:
        lacking = [name for name in _REQUIRED if name in axes and name not in entry and name not in fixed]
        conflicts = any(
            name in axes and value not in axes[name] for name, value in entry.items() if name in _SINGLE
        )
        if lacking and conflicts:
            reader.error(
                "missing",
                _first_key(root),
                f"an include entry makes a combination of its own but has no {', '.join(lacking)}",
            )


def _first_key(root: Node) -> Node:
    """The place to point at for something that is not there: the file's first key."""
    return root.entries[0][0] if isinstance(root, Entries) and root.entries else root
