"""The result of reading a parameter list: arguments, and what the engine's parser would refuse. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from harness.params.grammar import Option
from harness.params.help import ParameterSpec


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of item ``index`` of the parameter list."""

    index: int  # type: ignore[assignment]  # an item's place; nobody searches a span as a tuple
    start: int
    end: int


class KeyPart(NamedTuple):
    """One dotted item, ``--compilation-config.pass_config.x true``: its path, its value and where they stand."""

    path: tuple[str, ...]
    value: str
    key_span: Span
    value_span: Span


class Argument(NamedTuple):
    """One use of a flag, as the engine reads it.

    ``flag_text`` is what the user wrote (``--max_model-len``, ``-tp``, ``--no-enable-prefix-caching``), ``flag``
    the engine's own spelling it stands for. ``values`` are the raw texts, ``converted`` what they mean: a bool for
    a switch, a tuple for a flag that takes many, decoded JSON for structured values, True for ``--hf-token``
    alone; None means null, or nothing when ``valid`` is false. ``parts`` is not empty when the value was given
    as dotted keys; ``values`` then holds the JSON they merge to.
    """

    option: Option
    flag_text: str
    flag: str
    values: tuple[str, ...]
    converted: object
    flag_span: Span
    value_spans: tuple[Span, ...]
    negated: bool = False
    abbreviated: bool = False
    valid: bool = True
    parts: tuple[KeyPart, ...] = ()

    @property
    def name(self) -> str:
        """The parameter's long name without dashes."""
        return self.option.name

    @property
    def spec(self) -> ParameterSpec:
        """The help document's entry."""
        return self.option.spec

    @property
    def index(self) -> int:  # type: ignore[override]  # as in Span
        """The item that holds the flag."""
        return self.flag_span.index

    @property
    def value(self) -> str | None:
        """The first raw value, or None for a switch."""
        return self.values[0] if self.values else None

    @property
    def value_span(self) -> Span:
        """Where the first value stands; the flag itself when there is none."""
        return self.value_spans[0] if self.value_spans else self.flag_span


class ProblemKind(StrEnum):
    """Why the engine's parser refuses a list."""

    UNKNOWN_FLAG = "unknown-flag"
    AMBIGUOUS = "ambiguous"
    MISSING_VALUE = "missing-value"
    VALUE_FOR_SWITCH = "value-for-switch"
    STRAY = "stray"
    WRONG_TYPE = "wrong-type"
    NOT_ALLOWED = "not-allowed"
    MALFORMED_JSON = "malformed-json"
    UNKNOWN_KEY = "unknown-key"
    MISTYPED_KEY = "mistyped-key"
    CONDITION = "condition"
    HELP = "help"
    CONFIG_FILE = "config-file"
    MODEL = "model"
    DOTTED_WITHOUT_VALUE = "dotted-without-value"


class Problem(NamedTuple):
    """One reason for the engine's parser to refuse the list.

    ``text`` is the user's own text it is about, ``flag`` the engine's spelling of the flag (for an ambiguous one, what
    was written), ``detail`` and ``choices`` what the rule needs to explain it, ``path`` the keys inside a structured
    value, ``offset`` where JSON's reader stopped in ``text``. A value problem's ``flag_span`` is its flag's place.
    """

    kind: ProblemKind
    span: Span | None
    text: str = ""
    flag: str = ""
    option: Option | None = None
    detail: str = ""
    choices: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    offset: int | None = None
    flag_span: Span | None = None


class Reading(NamedTuple):
    """A parameter list as the engine's parser reads it; accepted exactly when ``problems`` is empty.

    ``arguments`` stand in the order the parser sees them; the last one of a name wins. ``by_name`` groups them,
    ``deciding`` holds the last of each. ``values`` has what every parameter comes to: as given, None where that is
    refused, else its default.
    """

    arguments: tuple[Argument, ...]
    problems: tuple[Problem, ...]
    by_name: Mapping[str, tuple[Argument, ...]]
    deciding: Mapping[str, Argument]
    values: Mapping[str, object]

    @property
    def accepted(self) -> bool:
        """True when the engine's parser takes the list."""
        return not self.problems

    @property
    def has_other_config(self) -> bool:
        """True when it has the engine read another configuration than the model's own."""
        return "hf-overrides" in self.deciding or "hf-config-path" in self.deciding

    def of(self, *kinds: ProblemKind) -> tuple[Problem, ...]:
        """The problems of these kinds."""
        return tuple(problem for problem in self.problems if problem.kind in kinds)

    def last(self, name: str) -> Argument | None:
        """The argument that decides parameter ``name``, or None when it is not given."""
        return self.deciding.get(name)
