"""Why a value is refused, as a value. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class RefusalKind(StrEnum):
    """Why a value is refused."""

    TYPE = "type"
    CHOICE = "choice"
    JSON = "json"
    KEY = "key"
    FIELD = "field"
    CONDITION = "condition"


class Refusal(NamedTuple):
    """One reason to refuse a value.

    ``detail`` says what would have been right, or what JSON's reader said. ``path`` leads to the key inside a
    structured value; ``offset`` is a character offset inside the text. ``choices`` are the known keys or names.
    """

    kind: RefusalKind
    detail: str
    path: tuple[str, ...] = ()
    offset: int | None = None
    choices: tuple[str, ...] = ()
