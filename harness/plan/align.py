"""Finds the characters of a scalar's value in the text it was written as. Pure.

A quoted or block scalar's value is not what stands in the file: escapes, doubled quotes, indentation and folded
lines lie between. Walking both side by side gives each character of the value its span in the file; where the two
cannot be reconciled the answer is None and the caller points at the whole scalar.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.plan.spans import Span, StraightSpans

# Escapes of YAML double-quoted, JSON and TOML basic strings that are not \x, \u or \U.
_NAMED = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_BREAKS = "\r\n\x85\u2028\u2029"
_BLANK = " \t" + _BREAKS


def align(text: str, value: str, start: int, end: int, style: str) -> Sequence[Span] | None:
    """One span in ``text`` per character of ``value``, which is written there from ``start`` to ``end``."""
    if text.startswith(value, start) and start + len(value) == end:
        return StraightSpans(start, end)
    if end - start == len(value) + 2 and text.startswith(value, start + 1) and style != "block":
        return StraightSpans(start + 1, end - 1)
    if style == "toml":
        return _align_toml(text, value, start, end)
    if style == "block":
        return _walk(text, value, _block_body(text, start, end), end, escapes=False, doubled=False)
    if style == "plain":
        return _walk(text, value, start, end, escapes=False, doubled=False)
    return _walk(
        text, value, start + 1, end - 1, escapes=style != "single-quoted", doubled=style == "single-quoted"
    )


def _block_body(text: str, start: int, end: int) -> int:
    """Where the lines of a block scalar begin: after its header (``|``, ``>-``, a comment)."""
    line_end = text.find("\n", start, end)
    return end if line_end < 0 else line_end + 1


def _align_toml(text: str, value: str, start: int, end: int) -> tuple[Span, ...] | None:
    quote = text[start]
    width = 3 if text.startswith(quote * 3, start) and end - start >= 6 else 1
    inside = start + width
    if width == 3 and text.startswith("\r\n", inside):
        inside += 2
    elif width == 3 and text.startswith("\n", inside):
        inside += 1
    return _walk(text, value, inside, end - width, escapes=quote == '"', doubled=False)


def _walk(
    text: str, value: str, at: int, end: int, *, escapes: bool, doubled: bool
) -> tuple[Span, ...] | None:
    spans: list[Span] = []
    index = 0
    while index < len(value):
        wanted = value[index]
        if escapes and at < end and text[at] == "\\":
            step = _escape(text, at, end)
            if step is None:
                return None
            decoded, width = step
            if decoded == "":  # an escaped line break and the indentation after it stand for nothing
                at += width
                continue
            if not value.startswith(decoded, index):
                return None
            spans += [(at, at + width)] * len(decoded)
            at, index = at + width, index + len(decoded)
        elif doubled and text.startswith("''", at) and wanted == "'":
            spans.append((at, at + 2))
            at, index = at + 2, index + 1
        elif at < end and text[at] == wanted and wanted not in _BREAKS:
            spans.append((at, at + 1))
            at, index = at + 1, index + 1
        elif at < end and text[at] in _BLANK:
            run = _skip_blanks(text, at, end)
            after = _skip_blanks(value, index, len(value))
            spans += _blanks(value[index:after], at, run)
            at, index = run, after
        elif wanted in _BREAKS and at >= end:
            spans.append((end, end))
            index += 1
        else:
            return None
    return tuple(spans)


def _skip_blanks(text: str, at: int, end: int) -> int:
    while at < end and text[at] in _BLANK:
        at += 1
    return at


def _blanks(wanted: str, at: int, run: int) -> list[Span]:
    """Spans of the white space a folded or indented run stands for: indentation kept lines up with its end."""
    spans: list[Span] = []
    tail = len(wanted) - len(wanted.rstrip(" \t"))
    if "\n" in wanted and tail:
        spans = [(at, at + 1)] * (len(wanted) - tail)
        return spans + [(run - tail + i, run - tail + i + 1) for i in range(tail)]
    return [(min(at + i, run - 1), min(at + i, run - 1) + 1) for i in range(len(wanted))]


def _escape(text: str, at: int, end: int) -> tuple[str, int] | None:
    """What the escape at ``at`` stands for, and how long it is; None when it cannot be read."""
    mark = text[at + 1 : at + 2]
    if mark and mark in _BREAKS:
        return "", _skip_blanks(text, at + 1, end) - at
    if mark in _HEX_DIGITS:
        width = _HEX_DIGITS[mark]
        try:
            code = int(text[at + 2 : at + 2 + width], 16)
        except ValueError:
            return None
        if 0xD800 <= code < 0xDC00 and text.startswith("\\u", at + 6):
            low = int(text[at + 8 : at + 12], 16)
            return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), 12
        return chr(code), 2 + width
    if mark in _NAMED:
        return _NAMED[mark], 2
    return None
