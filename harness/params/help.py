"""What an engine version's help document says: one ``ParameterSpec`` per parameter. Pure.

The document is the answer of the help endpoint, ``{"parameters": [{"name", "flags", "type", "default", "section",
"description", "allowed-values"}, …]}``. Every field of an entry is optional and every unknown type is read as a
string, so that a newer document never breaks an older reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

TYPE_SYNONYMS = {
    "bool": "boolean",
    "boolean": "boolean",
    "enum": "enum",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "str": "string",
    "string": "string",
}


class ParameterSpec(NamedTuple):
    """One parameter as the document describes it; a field the document leaves out is None.

    ``name`` is the long flag without its dashes, ``type`` one of boolean, enum, integer, number and string.
    ``default`` is text, ``"None"`` included. ``allowed_values`` may be a suggestion: the document does not say
    which lists the engine enforces.
    """

    name: str
    flags: tuple[str, ...]
    type: str | None = None
    default: str | None = None
    allowed_values: tuple[str, ...] | None = None
    section: str | None = None
    description: str | None = None

    @property
    def flag(self) -> str:
        """The long flag: ``--max-model-len``."""
        return f"--{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class EngineHelp:
    """The parameters of one engine version, in the document's order, and where they came from.

    ``provenance`` holds short texts such as ``source`` and ``date``.
    """

    version: str
    parameters: tuple[ParameterSpec, ...]
    provenance: Mapping[str, str] = field(default_factory=dict)
    by_name: Mapping[str, ParameterSpec] = field(default_factory=dict, compare=False, repr=False)


def parse_help(
    document: Mapping[str, object], *, version: str, provenance: Mapping[str, str] | None = None
) -> EngineHelp:
    """``EngineHelp`` of an endpoint document; ValueError when it has no list under ``parameters``.

    Entries that carry neither a usable name nor a flag are left out.
    """
    entries = document.get("parameters")
    if not isinstance(entries, list):
        raise ValueError("not a help document: no list under 'parameters'")
    specs = [spec for spec in map(_parse_entry, entries) if spec is not None]
    by_name = {spec.name: spec for spec in specs}
    return EngineHelp(version, tuple(by_name.values()), dict(provenance or {}), by_name)


def _parse_entry(entry: object) -> ParameterSpec | None:
    if not isinstance(entry, Mapping):
        return None
    name = _text(entry.get("name"))
    flags = _texts(entry.get("flags")) or ()
    if name:
        name = name.lstrip("-").replace("_", "-")
    else:
        longs = [flag for flag in flags if flag.startswith("--")]
        name = longs[0][2:] if longs else None
    if not name:
        return None
    written_type = _text(entry.get("type"))
    kind = None if written_type is None else TYPE_SYNONYMS.get(written_type.lower(), "string")
    return ParameterSpec(
        name=name,
        flags=flags or guessed_flags(name, kind),
        type=kind,
        default=_text(entry.get("default")),
        allowed_values=_texts(entry.get("allowed-values")),
        section=_text(entry.get("section")),
        description=_text(entry.get("description")),
    )


def default_value(text: str, kind: str | None) -> object:
    """A default as the help document writes it, converted by the parameter's type."""
    if text == "None":
        return None
    if text in ("True", "False"):
        return text == "True"
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    return text


def guessed_flags(name: str, kind: str | None) -> tuple[str, ...]:
    """The flags of an entry that does not list them: the long one, and for a boolean its ``--no-`` form."""
    return (f"--{name}", f"--no-{name}") if kind == "boolean" else (f"--{name}",)


def completed(document: EngineHelp, known: EngineHelp, *, same_version: bool) -> EngineHelp:
    """``document`` with what it leaves out filled in from ``known``.

    Fields are filled in by name. Of the same version, parameters that the document does not list are kept too: the
    engine has them, whoever may use them.
    """
    specs = {
        spec.name: _completed(spec, known.by_name.get(spec.name), same_version)
        for spec in document.parameters
    }
    if same_version:
        # The engine's own order, which decides nothing but the wording of ambiguities.
        specs = {**known.by_name, **specs}
    return EngineHelp(document.version, tuple(specs.values()), document.provenance, specs)


def _completed(spec: ParameterSpec, known: ParameterSpec | None, same_version: bool) -> ParameterSpec:
    if known is None:
        return spec
    guessed = spec.flags == guessed_flags(spec.name, spec.type)
    listed = spec.allowed_values or (known.allowed_values if same_version else None)
    return spec._replace(
        flags=known.flags if guessed else spec.flags,
        type=spec.type or known.type,
        default=spec.default if spec.default is not None else known.default,
        allowed_values=listed,
        section=spec.section or known.section,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(str(item) for item in value)
