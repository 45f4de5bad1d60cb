"""The files that a sweep file names, and the same sweep file with other names there. Pure but for looking up paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.load.tokenizer import tokenizer_place
from harness.plan.config import SweepConfig
from harness.plan.findings import Findings
from harness.plan.json_nodes import compose_json
from harness.plan.nodes import Entries, Node, Scalar, node_span, plain
from harness.plan.source import parse
from harness.plan.spans import Source, Span
from harness.plan.toml_nodes import compose_toml

IN_WORKLOAD = (
    ("prompts",), ("tokenizer",), ("input-tokens", "file"), ("output-tokens", "file"), ("turns", "file"),
)  # fmt: skip
OTHER_FORMS = {".json": compose_json, ".toml": compose_toml}


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file and where its name stands; ``is_model`` for a model's config.json."""

    path: Path
    span: Span
    is_model: bool


def named_files(source: Source) -> list[NamedFile]:
    """Every file that a usable sweep file names, as it is found from here."""
    root = _root(source)
    models = _at(root, ("models",))
    entries = models.entries if isinstance(models, Entries) else ()
    named = [(_at(entry, ("config",)), True) for _, entry in entries]
    named += [(_at(root, ("workload", *keys)), False) for keys in IN_WORKLOAD]
    return [
        NamedFile(_path(source, node.text), node_span(node), is_model)
        for node, is_model in named
        if isinstance(node, Scalar)
    ]


def renamed(config: SweepConfig, names: Mapping[Span, str]) -> str:
    """The sweep file as YAML with ``names`` in those places, and with the sweep's name, which may be its file's.

    The very text where there is nothing to be changed.
    """
    source, suffix = config.source, Path(config.path).suffix.lower()
    text = source.text
    # A name in double quotes is the same in YAML, JSON and TOML.
    for (start, end), name in sorted(names.items(), reverse=True):
        text = f"{text[:start]}{json.dumps(name)}{text[end:]}"
    root = _root(source)
    if suffix in OTHER_FORMS:
        changed = Source.of(config.path, text)
        document = plain(OTHER_FORMS[suffix](changed, Findings(changed)))
        return yaml.safe_dump({"name": config.name} | document, sort_keys=False, allow_unicode=True)
    if root.get("name") is not None:
        return text
    start = root.start + (1 if root.flow else 0)
    gap = ", " if root.flow else "\n" + " " * (source.position(start)[1] - 1)
    return f"{text[:start]}name: {config.name}{gap}{text[start:]}"


def _root(source: Source) -> Entries:
    (root,) = parse(source, Findings(source))
    assert isinstance(root, Entries), "the sweep file was read before"
    return root


def _at(node: Node | None, keys: Sequence[str]) -> Node | None:
    """The value under keys within keys."""
    for key in keys:
        node = node.get(key) if isinstance(node, Entries) else None
    return node


def _path(source: Source, name: str) -> Path:
    """Taken from the sweep file's folder; of a folder its tokenizer, for nothing else is named by its folder."""
    path = Path(source.path).parent / name
    return tokenizer_place(path)
