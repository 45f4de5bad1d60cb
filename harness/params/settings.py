"""The values an argument list ends up with: what it gives, else the version's defaults, as typed values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.params.context import Context
from harness.params.reading import Argument, Span
from harness.params.snapshots import version_key


class Settings(NamedTuple):
    """A view of one list. Names are long flags without dashes; a parameter the version lacks has no value (None)."""

    context: Context

    def given(self, name: str) -> Argument | None:
        """The argument that decides ``name``, or None when the default holds."""
        return self.context.reading.deciding.get(name)

    def value(self, name: str) -> object:
        """The value given, else the default; numbers and switches converted, null as None."""
        return self.context.reading.values.get(name)

    def integer(self, name: str) -> int | None:
        """The value if it is a whole number."""
        value = self.context.reading.values.get(name)
        return value if type(value) is int else None

    def number(self, name: str) -> float | None:
        """The value if it is a number; NaN and infinities are numbers."""
        value = self.value(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, name: str) -> str | None:
        """The value if it is a text."""
        value = self.value(name)
        return value if isinstance(value, str) else None

    def switch(self, name: str) -> bool | None:
        """True, False, or None where the engine decides."""
        value = self.value(name)
        return value if isinstance(value, bool) else None

    def table(self, name: str) -> Mapping[str, object] | None:
        """The value if it was given as a JSON object."""
        argument = self.context.reading.deciding.get(name)
        value = argument.converted if argument is not None and argument.valid else None
        return value if isinstance(value, dict) else None

    def size(self, name: str) -> int:
        """A parallel size or a count that is 1 when the version does not know the flag."""
        value = self.integer(name)
        return 1 if value is None else value

    def span(self, *names: str) -> Span | None:
        """Where the first of the names that is given stands: its value, or the flag of a switch."""
        for name in names:
            argument = self.context.last(name)
            if argument is not None:
                return argument.value_span
        return None

    def since(self, version: str) -> bool:
        """True when the engine whose knowledge is used is this version or newer."""
        return version_key(self.context.grammar.reference_version) >= version_key(version)
