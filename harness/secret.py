"""A string that does not print itself. Pure."""

from __future__ import annotations

from typing import Any, NoReturn

MASK = "***"


class Secret:
    """Holds a key or token; ``repr``, ``str``, ``format`` and pickling never show it, ``reveal()`` does.

    Not a subclass of str, so that joining or formatting it by accident shows the mask or fails.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass it in the environment or over a pipe by reveal()")

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


def redact(text: str, secrets: tuple[Secret, ...]) -> str:
    """``text`` with every occurrence of every non-empty secret replaced by the mask."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), MASK)
    return text
