"""How an engine version reads its flags: what the help document cannot say. Pure.

A grammar file (``data/grammar-<version>.toml``) lists, per peculiarity, the parameters that have it; everything else
follows from the help document's types. ``build_grammar`` joins the two into one ``Option`` per parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from harness.params.help import EngineHelp, ParameterSpec, default_value
from harness.params.schema import Schema, parse_schemas


class Arity(StrEnum):
    """How many values follow a flag."""

    NONE = "none"
    ONE = "one"
    OPTIONAL = "optional"
    MANY = "many"
    HELP = "help"


class ValueKind(StrEnum):
    """How the text of one value is read."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    HUMAN_INTEGER = "human-integer"
    JSON = "json"
    JSON_OR_TEXT = "json-or-text"
    STRUCTURE = "structure"
    LORA_MODULE = "lora-module"


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One parameter as the engine's parser knows it.

    ``nullable``: the texts ``None`` and the empty one mean null. ``choices`` are enforced, ``known_values`` only
    listed. ``suffixes`` are the letters a human-readable integer may end in; ``automatic`` says that ``auto`` and
    ``-1`` are integers too. ``appends``: repeating adds, instead of replacing. ``deprecated``: accepted, with a
    warning.
    """

    spec: ParameterSpec
    flags: tuple[str, ...]
    arity: Arity
    kind: ValueKind = ValueKind.TEXT
    nullable: bool = False
    choices: tuple[str, ...] | None = None
    known_values: tuple[str, ...] | None = None
    suffixes: str = ""
    automatic: bool = False
    appends: bool = False
    deprecated: bool = False
    schema: Schema | None = None

    @property
    def name(self) -> str:
        """The long name without dashes."""
        return self.spec.name

    @property
    def is_switch(self) -> bool:
        """True for flags that take no value."""
        return self.arity is Arity.NONE

    @property
    def negatable(self) -> bool:
        """True when ``--no-<name>`` exists."""
        return f"--no-{self.spec.name}" in self.flags


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """Every flag of one engine version.

    ``by_flag`` maps each spelling, in the order the engine registers them, to its option; ``names`` maps each long
    name; ``defaults`` has the value of each parameter that is not given. ``dotted_optimization``: ``-O.key`` is short
    for ``-cc.key``. ``reference_version`` is the version whose grammar file was used, which may be the nearest known
    one.
    """

    version: str
    reference_version: str
    options: tuple[Option, ...]
    by_flag: Mapping[str, Option] = field(repr=False)
    names: Mapping[str, Option] = field(repr=False)
    schemas: Mapping[str, Schema] = field(repr=False)
    sorted_flags: tuple[str, ...] = field(repr=False)
    defaults: Mapping[str, object] = field(repr=False)
    dotted_optimization: bool = False

    @property
    def is_exact(self) -> bool:
        """False when another version's grammar stands in."""
        return self.version == self.reference_version


HELP_SPEC = ParameterSpec(name="help", flags=("-h", "--help"), type=None)


def build_grammar(
    help: EngineHelp,
    facts: Mapping[str, Any],
    *,
    reference_version: str,
    reasoning_parsers: Sequence[str] = (),
) -> Grammar:
    """The grammar of ``help.version`` from its help document and a decoded grammar file."""
    schemas = parse_schemas(facts.get("schemas", {}), reasoning_parsers=reasoning_parsers)
    options = [Option(HELP_SPEC, HELP_SPEC.flags, Arity.HELP)]
    options += [_option(spec, facts, schemas) for spec in help.parameters if spec.name != "help"]
    by_flag = {flag: option for option in options for flag in option.flags}
    return Grammar(
        version=help.version,
        reference_version=reference_version,
        options=tuple(options),
        by_flag=by_flag,
        names={option.name: option for option in options},
        schemas=schemas,
        dotted_optimization=bool(facts.get("dotted-optimization-level", False)),
        sorted_flags=tuple(sorted(by_flag)),
        defaults={
            spec.name: default_value(spec.default, spec.type)
            for spec in help.parameters
            if spec.default is not None
        },
    )


def _option(spec: ParameterSpec, facts: Mapping[str, Any], schemas: Mapping[str, Schema]) -> Option:
    arities: Mapping[str, Sequence[str]] = facts.get("values", {})
    kinds: Mapping[str, Any] = facts.get("kinds", {})
    name = spec.name
    found: dict[str, Any] = {
        "nullable": name in kinds.get("nullable", ()),
        "appends": name in arities.get("appended", ()),
        "deprecated": name in facts.get("deprecated", ()),
    }
    if spec.type == "boolean":
        return Option(spec, spec.flags, Arity.NONE, **found)
    arity = Arity.ONE
    if name in arities.get("many", ()):
        arity = Arity.MANY
    elif name in arities.get("optional", ()):
        arity = Arity.OPTIONAL
    found |= _choices(spec, facts) | _kind(spec, kinds, schemas)
    return Option(spec, spec.flags, arity, **found)


def _choices(spec: ParameterSpec, facts: Mapping[str, Any]) -> dict[str, Any]:
    listed = spec.allowed_values
    if not listed:
        return {}
    choices: Mapping[str, Any] = facts.get("choices", {})
    if spec.name in choices.get("not-enforced", ()):
        return {"known_values": listed}
    refused = choices.get("listed-but-refused", {}).get(spec.name, ())
    return {"choices": tuple(value for value in listed if value not in refused)}


def _kind(spec: ParameterSpec, kinds: Mapping[str, Any], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    name = spec.name
    if name in kinds.get("structures", {}):
        return {"kind": ValueKind.STRUCTURE, "schema": schemas[kinds["structures"][name]]}
    if name in kinds.get("human-integer", ()):
        suffixes = str(kinds.get("human-integer-suffixes", ""))
        automatic = name in kinds.get("automatic-integer", ())
        return {"kind": ValueKind.HUMAN_INTEGER, "suffixes": suffixes, "automatic": automatic}
    for kind in (
        ValueKind.JSON,
        ValueKind.JSON_OR_TEXT,
        ValueKind.LORA_MODULE,
        ValueKind.INTEGER,
        ValueKind.NUMBER,
    ):
        if name in kinds.get(kind.value, ()):
            return {"kind": kind}
    by_type = {"integer": ValueKind.INTEGER, "number": ValueKind.NUMBER}
    return {"kind": by_type.get(spec.type or "", ValueKind.TEXT)}
