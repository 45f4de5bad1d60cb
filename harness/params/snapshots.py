"""What ships with the package about each engine version; the only door through which this room reads files.

Nothing is read before it is asked for, and each file once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.params.grammar import Grammar, build_grammar
from harness.params.help import EngineHelp, parse_help
from harness.params.versions import is_version, spelled_out


class History(NamedTuple):
    """Flags of the past: what replaces each, rewrites that keep their meaning, names people write for another."""

    replacements: Mapping[str, str]
    other_names: Mapping[str, str]
    rewrites: Mapping[str, tuple[str, ...]]


# Package data, read by its path: importlib.resources costs 6 ms of a linter's quarter second to import.
DATA = Path(__file__).parent / "data"


@cache
def known_versions() -> tuple[str, ...]:
    """Engine versions with a shipped help document, grammar and registries, oldest first."""
    shipped = {entry.name for entry in DATA.iterdir()}
    versions = {name[5:-5] for name in shipped if name.startswith("help-")}
    whole = [v for v in versions if {f"grammar-{v}.toml", f"registries-{v}.json"} <= shipped]
    return tuple(sorted(whole, key=version_key))


def nearest_version(version: str) -> str:
    """The known version that stands in for ``version``: the newest that is not newer, else the oldest.

    For ``0.15`` that is 0.15.1, for what is not a version, as ``latest``, the newest.
    """
    meant = spelled_out(version, known_versions())
    if not is_version(meant):
        return known_versions()[-1]
    wanted = version_key(meant)
    older = [known for known in known_versions() if version_key(known) <= wanted]
    return older[-1] if older else known_versions()[0]


@lru_cache(maxsize=256)
def version_key(version: str) -> tuple[int, ...]:
    """Sort key of ``0.15.1``; what is not a number counts as 0, a leading ``v`` is dropped."""
    parts = version.removeprefix("v").split(".")
    return tuple(int(part) if part.isascii() and part.isdigit() and len(part) < 10 else 0 for part in parts)


def _read(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


@cache
def load_help(version: str) -> EngineHelp:
    """The shipped help document of a known version; KeyError for another one."""
    if version not in known_versions():
        raise KeyError(version)
    document: dict[str, Any] = json.loads(_read(f"help-{version}.json"))
    return parse_help(document, version=version, provenance=document["provenance"])


@cache
def load_grammar(version: str) -> Grammar:
    """The grammar of a known version joined with its shipped help document; KeyError for another version."""
    return grammar_for(load_help(version), version)


def grammar_for(help: EngineHelp, reference_version: str) -> Grammar:
    """A grammar for any help document, with the grammar file of a known version."""
    if reference_version not in known_versions():
        raise KeyError(reference_version)
    return build_grammar(
        help,
        _grammar_file(reference_version),
        reference_version=reference_version,
        reasoning_parsers=load_registries(reference_version)["reasoning_parser"],
    )


@cache
def _grammar_file(version: str) -> dict[str, Any]:
    return tomllib.loads(_read(f"grammar-{version}.toml"))


@cache
def _registry_file(version: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_read(f"registries-{version}.json"))
    return document


@cache
def load_registries(version: str) -> Mapping[str, tuple[str, ...]]:
    """Names that plugins register in a known version, by kind: ``quantization``, ``tool_call_parser``, …"""
    document = _registry_file(version)
    return {kind: tuple(names) for kind, names in document.items() if isinstance(names, list)}


@cache
def load_history() -> History:
    """Removed and renamed flags of every version."""
    document = tomllib.loads(_read("history.toml"))
    rewrites = {name: tuple(items) for name, items in document["rewrites"].items()}
    return History(document["replacements"], document["other-names"], rewrites)
