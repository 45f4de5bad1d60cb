"""Quantities on paper and back: durations, bytes, rates. Seconds and bytes inside. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

GIB = 1 << 30
MS_PER_S = 1000.0

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|min|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``1.5m``, ``1h30m``, ``250ms``; ValueError for anything else, or below 0."""
    text = text.strip().lower()
    try:
        seconds = float(text)
    except ValueError:
        position, seconds = 0, 0.0
        while position < len(text):
            part = _DURATION_PART.match(text, position)
            if part is None:
                break
            seconds += float(part[1]) * _SECONDS[part[2]]
            position = part.end()
        if position != len(text) or not text:
            raise ValueError(f"not a duration: {text!r}; try 30s, 5m or 1h30m") from None
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"not a duration: {text!r}; it must be finite and not negative")
    return seconds


def exact(value: float) -> str:
    """The shortest decimal that reads back as the same number: ``4``, ``0.1``, ``1e-05``."""
    return repr(float(value)).removesuffix(".0")


def counted(count: int, noun: str) -> str:
    """``1 cell``, ``2 cells``: for nouns that take an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def first_few(names: Sequence[str], joint: str = ", ", *, most: int = 4) -> str:
    """``a, b, c, d and 3 more``: the first of them, and how many there are besides."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return joint.join(names[:most]) + more


def format_duration(seconds: float) -> str:
    """``3.2 s``, ``4m 05s``, ``2h 03m``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def format_bytes(count: float) -> str:
    """Binary units with one decimal: ``15.3 GiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def ms(seconds: float | None) -> float | None:
    """Milliseconds of seconds; None stays None."""
    return None if seconds is None else seconds * MS_PER_S
