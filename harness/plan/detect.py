"""Says what kind of file a source is and finds the parameter lists in it. Pure.

By suffix: ``.sh``, ``.bash`` are scripts; ``.yaml``, ``.yml``, ``.json``, ``.toml`` are parsed and judged by their
keys; anything else, and standard input, by its text: when the first line is a flag every line is one item, a text with
an engine or exo command is a script, ``key = `` is TOML, a bracket JSON, and what remains YAML.

By keys, first match: ``matrix`` (or ``load`` beside an axis) is a sweep; ``inference-engine-parameters`` (also with
underscores, also in a list) a deployment; ``parameters`` or a plain list a parameter list; else containers with
``args`` or ``command``, and scripts in texts, wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from harness.errors import ConfigError
from harness.plan.commands import looks_like_commands, targets_in_script, whole_text
from harness.plan.config import AXES
from harness.plan.config_reader import read_config
from harness.plan.containers import targets_in_containers
from harness.plan.deployments import facts_beside, is_deployment, literal_items, targets_in_deployment
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span
from harness.plan.parameter_sets import expand_set
from harness.plan.reader import Reader
from harness.plan.source import parse
from harness.plan.spans import LocatedText, Source
from harness.plan.sweep_targets import targets_in_sweep
from harness.plan.targets import Target

STRUCTURED = (".yaml", ".yml", ".json", ".toml")
SCRIPTS = (".sh", ".bash")
SUFFIXES = (*STRUCTURED, *SCRIPTS, ".txt", ".args")

_SIGNIFICANT = re.compile(r"^[ \t]*([^\s#][^\r\n]*)\r?$", re.MULTILINE)
_TOML_LINE = re.compile(r"(?:\[[^\]\"'{,]+\]\s*(?:#.*)?|[\w.\"-]+\s*=\s*[\[\"'{\w+-].*)")
_YAML_KEY = re.compile(r"(?:-\s|[\w\"'./-]+:(?:\s|$)|---)")


def find_targets(source: Source, findings: Findings) -> Sequence[Target] | None:
    """The parameter lists in a source; None when it is nothing this linter knows.

    What is wrong with the file itself goes to ``findings``; ConfigError when it cannot be read at all.
    """
    suffix = PurePath(source.path).suffix.lower()
    if suffix in SCRIPTS:
        return list(targets_in_script(whole_text(source))) or None
    if suffix in STRUCTURED:
        return _in_documents(source, parse(source, findings), findings)
    return _by_text(source, findings)


def _by_text(source: Source, findings: Findings) -> Sequence[Target] | None:
    lines = [match[1] for match in _SIGNIFICANT.finditer(source.text)]
    if not lines:
        return None
    if lines[0].startswith("-") and not _YAML_KEY.match(lines[0] + " "):
        return [_line_list(source)]
    if looks_like_commands(source.text) and not _YAML_KEY.match(lines[0]) and lines[0][0] not in "[{":
        return list(targets_in_script(whole_text(source))) or None
    if lines[0][0] in "[{":
        bracketed = _as_json(source)
        if bracketed is not None:
            return _in_documents(source, (bracketed,), findings)
    if _TOML_LINE.fullmatch(lines[0]):
        from harness.plan.toml_nodes import compose_toml

        return _in_documents(source, (compose_toml(source, findings),), findings)
    return _in_documents(source, parse(source, findings), findings)


def _as_json(source: Source) -> Node | None:
    from harness.plan.json_nodes import compose_json

    try:
        return compose_json(source, Findings(source))
    except ConfigError:
        return None


def _line_list(source: Source) -> Target:
    """One item a line, ``#`` starting a line that is a comment."""
    items = []
    for match in _SIGNIFICANT.finditer(source.text):
        text = match[1].rstrip()
        span = (match.start(1), match.start(1) + len(text))
        items.append(LocatedText(source, text, span, [(at, at + 1) for at in range(*span)], "line"))
    return Target(source, tuple(items), items[0].whole)


def _in_documents(source: Source, documents: Sequence[Node], findings: Findings) -> Sequence[Target] | None:
    if any(is_sweep(document) for document in documents):
        config = read_config(source, documents, findings)
        return [] if config is None else list(targets_in_sweep(config))
    reader = Reader(source, findings)
    found = [list(_in_document(reader, document)) for document in documents]
    recognised = any(
        targets or _is_empty_list(document) for targets, document in zip(found, documents, strict=True)
    )
    if not recognised and not findings.diagnostics:
        return None
    return [target for targets in found for target in targets]


def is_sweep(document: Node) -> bool:
    """True for a sweep file, by its keys."""
    keys = set(document.keys()) if isinstance(document, Entries) else set()
    return "matrix" in keys or ("load" in keys and bool(keys & set(AXES)))


def _is_empty_list(document: Node) -> bool:
    return isinstance(document, Items) and not document.items


def _in_document(reader: Reader, node: Node) -> Iterator[Target]:
    if is_deployment(node):
        yield from targets_in_deployment(reader, node)
    elif isinstance(node, Entries) and isinstance(node.get("parameters"), Items | Entries):
        yield from _parameter_file(reader, node)
    elif isinstance(node, Items) and node.items and all(isinstance(item, Scalar) for item in node.items):
        items = literal_items(reader, node)
        yield Target(reader.source, items, items[0].whole if items else node_span(node))
    elif isinstance(node, Items) and any(is_deployment(item) for item in node.items):
        for item in node.items:
            yield from targets_in_deployment(reader, item) if is_deployment(item) else ()
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        yield from targets_in_script(node.located(reader.source))
    else:
        yield from targets_in_containers(reader.source, node)


def _parameter_file(reader: Reader, node: Entries) -> Iterator[Target]:
    """``parameters`` (a list, or a mapping of flags) with the facts beside it."""
    facts = facts_beside(node)
    for key, value in node.entries:
        if key.text != "parameters":
            continue
        if isinstance(value, Items):
            yield Target(reader.source, literal_items(reader, value), node_span(key), **facts)
        else:
            for made in expand_set(reader, None, value):
                yield Target(reader.source, made.items, node_span(key), **facts)
