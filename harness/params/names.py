"""What a flag the engine does not know was meant to be: another version's, a removed one, or a near miss. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from harness.params.grammar import Grammar
from harness.params.snapshots import known_versions, load_grammar, load_history, version_key

# Dice coefficient of letter pairs from which a name counts as near; 0.55 keeps "max-len" and drops "seed".
NEAR = 0.55
MAX_SUGGESTIONS = 3


class Lookup(NamedTuple):
    """What is known of an unknown flag's name, dashes and ``--no-`` aside.

    ``replacement`` is not None when some version had the flag: what to write instead, empty for nothing. ``older`` and
    ``newer`` are known versions that have it. ``other_name`` is the parameter people mean by it, ``near`` the flags
    spelt alike.
    """

    name: str
    replacement: str | None = None
    older: str | None = None
    newer: str | None = None
    other_name: str | None = None
    near: tuple[str, ...] = ()


def bare_name(flag: str) -> str:
    """``--No_x`` to ``no-x``: no leading dashes, dashes for underscores, nothing after a dot, lower case."""
    return flag.lstrip("-").partition(".")[0].replace("_", "-").lower()


def look_up(flag: str, grammar: Grammar) -> Lookup:
    """What ``flag``, which ``grammar`` does not have, may have been meant to be."""
    return _look_up(flag, grammar)


@lru_cache(maxsize=4096)
def _look_up(flag: str, grammar: Grammar) -> Lookup:
    name = bare_name(flag)
    positive = name.removeprefix("no-")
    history = load_history()
    names = tuple(bare_name(known) for known in grammar.by_flag if known.startswith("--"))
    known_here = positive in grammar.names
    older, newer = (None, None) if known_here else _other_versions(positive, grammar.version)
    other = history.other_names.get(positive)
    return Lookup(
        name=positive,
        replacement=history.replacements.get(positive),
        older=older,
        newer=newer,
        other_name=other if other in grammar.names else None,
        near=(name,) if name in names else near_names(name, names),
    )


def _other_versions(name: str, version: str) -> tuple[str | None, str | None]:
    here = version_key(version)
    older = newer = None
    for known in known_versions():
        if name not in load_grammar(known).names:
            continue
        if version_key(known) < here:
            older = known
        elif version_key(known) > here and newer is None:
            newer = known
    return older, newer


@lru_cache(maxsize=4096)
def near_names(name: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Up to three candidates spelt like ``name``, nearest first."""
    pairs = _pairs(name)
    scored = []
    for candidate in candidates:
        others = _pairs(candidate)
        total = pairs.bit_count() + others.bit_count()
        score = 2 * (pairs & others).bit_count() / total if total else 0.0
        if score >= NEAR:
            scored.append((-score, abs(len(candidate) - len(name)), candidate))
    return tuple(candidate for _, _, candidate in sorted(scored)[:MAX_SUGGESTIONS])


def close_names(text: str, known: Iterable[str]) -> list[str]:
    """Up to three known names spelt like ``text``, nearest first; upper and lower case differ."""
    from difflib import get_close_matches  # only a mistake needs it

    return get_close_matches(text, list(known), n=3)


@lru_cache(maxsize=8192)
def _pairs_of(text: str) -> int:
    mask = 0
    padded = f" {text} "
    for first, second in pairwise(padded):
        mask |= 1 << ((ord(first) * 31 + ord(second)) % 509)
    return mask


def _pairs(text: str) -> int:
    """The letter pairs of a text as bits."""
    return _pairs_of(text[:100])


def near_text(text: str, candidates: tuple[str, ...]) -> str | None:
    """The candidate that was likely meant: the same but for case and white space, else the one spelt most alike."""
    folded = text.strip().casefold()
    originals = {candidate.casefold(): candidate for candidate in candidates}
    if folded in originals:
        return originals[folded]
    near = near_names(folded[:100], tuple(originals))
    return originals[near[0]] if near else None
