"""Every rule, by hand, in reading order: what the parser refuses, then start-up, the platform, style. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.params.context import Rule

RULES: tuple[Rule, ...] = ()
