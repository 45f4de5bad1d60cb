"""Where keys and tokens stand in a text, so that nothing that is printed repeats them. Pure.

Texts are looked at as they are written, not as they are parsed: what a finding shows may come from a file that cannot
be read, or from a flag that is misspelled. A value taken from the environment (``$KEY``) is no secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|EXO[a-f0-9]{24,}|ghp_[A-Za-z0-9]{30,}|AKIA[A-Z0-9]{16}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.)"
)
# Shorter ones would put stars into words that have nothing to do with them.
SHORTEST_IN_PROSE = 3
STARS = "***"

# A flag, its abbreviations and misspellings; a key of a mapping; a variable, as containers list them too.
_NAME = re.compile(
    r"(?<![\w-])(?:(?P<flag>--?(?:no-)?(?:api[-_]?k|hf[-_]?t)[\w-]*)"
    r"|(?:api[-_]?key|hf[-_]?token|[A-Z][A-Z_]*(?:_KEY|TOKEN|SECRET|PASSWORD))"
    r"(?=[\"']?[ \t]*(?:[:=]|\r?\n[ \t]*value:)))"
)
_FIRST = re.compile(
    r"[\"']?[ \t]*(?P<joint>[:=])?"
    r"(?:,|\[|(?<=[ \t])#[^\r\n]*|\r?\n[ \t]*#[^\r\n]*|[ \t]|[|>][-+]?[ \t]*\r?\n|\\\r?\n"
    r"|\r?\n[ \t]*(?:value:|-(?=[ \t])))*"
)
_LONE = re.compile(r"[ \t]*\r?\n[ \t]*")
_NEXT = re.compile(
    r"[ \t]*(?:,\s*|\\\r?\n[ \t]*|(?:[ \t]#[^\r\n]*)?(?:\r?\n[ \t]*#[^\r\n]*)*\r?\n[ \t]*-[ \t]+|[ \t])[ \t]*"
)
_VALUE = re.compile(
    r"\"(?P<double>(?:[^\"\\\r\n]|\\.)+)\"|'(?P<single>[^'\r\n]+)'|(?P<bare>[^\s,\"'\[\]{}]+)"
)
_NO_SECRET = re.compile(r"(?:null|none|true|false|~|[&|;<>]+|\$.*|#.*|\d?>.*)", re.IGNORECASE)


def secret_spans(text: str) -> list[tuple[int, int]]:
    """Where keys and tokens stand, in order, end exclusive."""
    found = {match.span() for match in LOOKS_LIKE_A_KEY.finditer(text)}
    for name in _NAME.finditer(text):
        found.update(_values_after(text, name))
    return sorted(found)


def _values_after(text: str, name: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The values behind a name: flags take several, a key of a mapping a list of them."""
    between = _FIRST.match(text, name.end())
    if between is None:
        return
    at, is_joined = between.end(), between["joint"] == "="
    line = text[text.rfind("\n", 0, name.start()) + 1 : name.start()]
    lone = _LONE.match(text, name.end())
    if name["flag"] and lone is not None and not line.strip():
        at = lone.end()  # one item a line
    is_many = (bool(name["flag"]) and not between["joint"]) or "[" in between[0] or "\n" in between[0]
    while (value := _VALUE.match(text, at)) is not None:
        start, end = value.span(value.lastgroup or 0)
        word = text[start:end]
        if (word.startswith("-") and not is_joined) or _NO_SECRET.fullmatch(word):
            return
        yield start, end
        following = _LONE.match(text, value.end()) if lone is not None else None
        following = following or _NEXT.match(text, value.end())
        if not is_many or following is None:
            return
        at = following.end()


def starred(text: str) -> str:
    """The text with stars over its secrets, as long as before."""
    parts, at = [], 0
    for start, end in secret_spans(text):
        if end > at:
            parts += [text[at:start], "*" * (end - max(start, at))]
            at = end
    return "".join([*parts, text[at:]])


def secrets_in(text: str) -> frozenset[str]:
    """The secrets of a text that must not be repeated in prose about it; words of its comments are none."""
    return frozenset(
        text[start:end]
        for start, end in secret_spans(text)
        if end - start >= SHORTEST_IN_PROSE and not _is_comment(text, start)
    )


def _is_comment(text: str, at: int) -> bool:
    return re.search(r"(?:^|\s)#", text[text.rfind("\n", 0, at) + 1 : at]) is not None


def without_secrets(prose: str, secrets: Collection[str]) -> str:
    """The prose with stars for each of the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in prose:
            prose = re.sub(rf"(?<![\w-]){re.escape(secret)}(?![\w-])", STARS, prose)
    return prose
