"""How people write an engine version, and what is said of one that is not known. Pure.

A leading ``v`` is harmless, and so is a beginning that only one known version has: ``0.15`` where only 0.15.1 is known.
Whoever sends a version to the platform sends what was written in the file, so this holds for options, not for files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"\d+(?:\.\d+)+[0-9A-Za-z.+-]*")


def is_version(text: str) -> bool:
    """True for a text that may be a vLLM version: ``0.16.0``, ``0.16.0rc1``; not for ``latest``."""
    return _NUMBERED.fullmatch(text) is not None


def spelled_out(text: str, known: Sequence[str]) -> str:
    """The known version that ``text`` means, else ``text`` without white space and a leading ``v``."""
    bare = text.strip()
    if bare[:1] in ("v", "V") and bare[1:2].isdigit():
        bare = bare[1:]
    if bare in known or not is_version(bare):
        return bare
    longer = [version for version in known if version.startswith(f"{bare}.")]
    return longer[0] if len(longer) == 1 else bare


def what_is_known(text: str, known: Sequence[str]) -> str:
    """What would work in place of ``text``: the version meant, or those that are known and how to get another."""
    meant = spelled_out(text, known)
    if meant != text and meant in known:
        return f"write {meant}"
    listed = f"known {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
    if is_version(meant):
        return f"{listed}; `harness params fetch {meant}` asks the API for its parameters"
    return f"{listed}; `harness params fetch VERSION` asks the API for another"


def not_known(text: str, known: Sequence[str]) -> str:
    """The message about a version that nothing is known of."""
    meant = spelled_out(text, known)
    said = f"vLLM {meant} is not known here" if is_version(meant) else f"{text!r} is not a vLLM version"
    return f"{said}; {what_is_known(text, known)}"
