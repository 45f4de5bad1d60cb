"""A rule's page: what it means, with an example that is wrong and one that is right. Pure."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from harness.diagnostics import Severity, Stage
from harness.params.names import near_text
from harness.params.rules import RULES

_COMMENT = re.compile(r"\s+#\s(?=(?:engine-version|gpu-type|gpu-count|replicas|model|offered|authorized): )")
_FACT = re.compile(r"([a-z-]+): (\S+)")


@dataclass(frozen=True, slots=True)
class Example:
    """An example list as shell words, and the facts it is judged with (``engine-version``, ``gpu-count``, …)."""

    words: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What ``harness explain`` shows of a rule. ``text`` is the whole page, ``title`` its first sentence."""

    code: str
    stage: Stage
    severity: Severity
    title: str
    text: str
    wrong: tuple[Example, ...]
    right: tuple[Example, ...]


def codes() -> tuple[str, ...]:
    """The codes of every rule, in reading order."""
    return tuple(rule.CODE for rule in RULES)


def page(code: str) -> Page | None:
    """The page of a rule, or None when no rule has this code."""
    for rule in RULES:
        if code == rule.CODE:
            text = inspect.cleandoc(rule.__doc__ or "")
            return Page(
                code=code,
                stage=rule.STAGE,
                severity=rule.SEVERITY,
                title=text.partition("\n")[0],
                text=text,
                wrong=_examples(text, "Wrong"),
                right=_examples(text, "Right"),
            )
    return None


def suggest(code: str) -> str | None:
    """The code that was likely meant."""
    return near_text(code, codes())


def _examples(text: str, kind: str) -> tuple[Example, ...]:
    """The first line of each ``kind::`` block."""
    found = []
    for block in re.findall(rf"^{kind}::\n\n((?:    .*\n?|\n)+)", text, re.MULTILINE):
        line = next(line for line in block.splitlines() if line.strip())
        words, *comment = _COMMENT.split(line.strip(), maxsplit=1)
        facts = tuple(_FACT.findall(comment[0])) if comment else ()
        found.append(Example(words, facts))
    return tuple(found)
