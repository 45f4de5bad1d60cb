"""The user's own text inside a message: quoted, and cut when it is long. Pure."""

from __future__ import annotations

MAX_QUOTED = 60


def quote(text: str) -> str:
    """``text`` in quotes with control characters written out; its middle left out beyond ``MAX_QUOTED``."""
    if len(text) > MAX_QUOTED:
        return f"{repr(text[: MAX_QUOTED - 20])[:-1]}…{repr(text[-16:])[1:]}"
    return repr(text)
