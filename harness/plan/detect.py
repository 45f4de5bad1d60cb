"""Says what kind of file a source is and finds the parameter lists in it. Pure.

By suffix: ``.sh``, ``.bash`` are scripts; ``.yaml``, ``.yml``, ``.json``, ``.toml`` are parsed and judged by their
keys; anything else, and standard input, by its text: when the first line is a flag every line is one item, a text with
an engine or exo command is a script, ``key = `` is TOML, a bracket JSON, and what remains YAML.

By keys, first match: ``matrix`` (or ``load`` beside an axis) is a sweep; ``inference-engine-parameters`` (also with
underscores, also in a list) a deployment; ``parameters`` or a plain list a parameter list; else containers with
``args`` or ``command``, and scripts in texts, wherever they stand.

The readers of each kind are imported when a file is of that kind, so that linting one file stays quick.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from harness.errors import ConfigError
from harness.plan.findings import Findings
from harness.plan.nodes import Entries, Node
from harness.plan.source import parse
from harness.plan.spans import LocatedText, Source, StraightSpans
from harness.plan.targets import Target

STRUCTURED = (".yaml", ".yml", ".json", ".toml")
SCRIPTS = (".sh", ".bash")
SUFFIXES = (*STRUCTURED, *SCRIPTS, ".txt", ".args")

_AXES = ("gpu-type", "gpu-count", "replicas", "engine-version", "model", "parameters")
_SIGNIFICANT = re.compile(r"^[ \t]*([^\s#][^\r\n]*)\r?$", re.MULTILINE)
_TOML_LINE = re.compile(r"(?:\[[^\]\"'{,]+\]\s*(?:#.*)?|[\w.\"-]+\s*=\s*[\[\"'{\w+-].*)")
_YAML_KEY = re.compile(r"(?:-\s|[\w\"'./-]+:(?:\s|$)|---)")


def find_targets(source: Source, findings: Findings) -> Sequence[Target] | None:
    """The parameter lists in a source; None when it is nothing this linter knows.

    What is wrong with the file itself goes to ``findings``; ConfigError when it cannot be read at all.
    """
    suffix = PurePath(source.path).suffix.lower()
    if suffix in SCRIPTS:
        return _in_script(source)
    if suffix in STRUCTURED:
        return _in_documents(source, parse(source, findings), findings)
    return _by_text(source, findings)


def _by_text(source: Source, findings: Findings) -> Sequence[Target] | None:
    lines = [match[1] for match in _SIGNIFICANT.finditer(source.text)]
    if not lines:
        return None
    if lines[0].startswith("-") and not _YAML_KEY.match(lines[0] + " "):
        return [_line_list(source)]
    if not _YAML_KEY.match(lines[0]) and lines[0][0] not in "[{":
        commands = _in_script(source)
        if commands:
            return commands
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
        items.append(LocatedText(source, text, span, StraightSpans(*span), "line"))
    return Target(source, tuple(items), items[0].whole)


def _in_script(source: Source) -> Sequence[Target] | None:
    from harness.plan.commands import targets_in_script, whole_text

    return list(targets_in_script(whole_text(source))) or None


def _in_documents(source: Source, documents: Sequence[Node], findings: Findings) -> Sequence[Target] | None:
    if any(is_sweep(document) for document in documents):
        from harness.plan.config_reader import read_config
        from harness.plan.sweep_targets import targets_in_sweep

        config = read_config(source, documents, findings)
        return [] if config is None else list(targets_in_sweep(config))
    from harness.plan.documents import targets_in_documents

    return targets_in_documents(source, documents, findings)


def is_sweep(document: Node) -> bool:
    """True for a sweep file, by its keys."""
    if not isinstance(document, Entries):
        return False
    keys = set(document.keys())
    return "matrix" in keys or ("load" in keys and not keys.isdisjoint(_AXES))
