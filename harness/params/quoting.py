"""The user's own text inside a message: quoted, and cut when it is long. Pure."""

from __future__ import annotations

MAX_QUOTED = 60


def quote(text: str) -> str:
    """``text`` in single quotes with control characters written out; its middle left out beyond ``MAX_QUOTED``."""
    if len(text) > MAX_QUOTED:
        head, tail = text[: MAX_QUOTED - 20], text[-16:]
        return f"{quoted(head)[:-1]}…{quoted(tail)[1:]}"
    return quoted(text)


def quoted(text: str) -> str:
    """The repr with single quotes outside, whatever is inside."""
    shown = repr(text)
    return shown if shown.startswith("'") else f"'{shown[1:-1]}'"
