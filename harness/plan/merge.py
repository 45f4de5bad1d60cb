"""One finding for one mistake: what several cells or engine versions have in common is said once. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from harness.diagnostics import Diagnostic, Edit
from harness.plan.fixes import Replacement
from harness.plan.report import Finding
from harness.plan.spans import Span
from harness.plan.targets import Target

_VERSION = "\0"

Key = tuple[str, str, Span, str]
FixToText = Callable[[Target, Edit], tuple[Replacement, ...] | None]


@dataclass(slots=True)
class _Group:
    """Findings that are the same mistake: the first of them, and where else it strikes."""

    target: Target
    diagnostic: Diagnostic
    template: str
    asked: int
    versions: dict[str, None] = field(default_factory=dict)
    cells: dict[str, None] = field(default_factory=dict)


class Merger:
    """Collects the findings of one file; lives until they are all in."""

    def __init__(self) -> None:
        self.groups: dict[Key, _Group] = {}
        self.cells: set[str] = set()

    def see(self, target: Target) -> None:
        """A target that is judged, whether or not anything is found: a single cell goes without saying."""
        self.cells.update(target.cells)

    def add(self, target: Target, version: str, diagnostic: Diagnostic, *, asked: int) -> None:
        """One finding about one target on one version, of ``asked`` versions that the target is judged for."""
        template = diagnostic.message.replace(version, _VERSION)
        span = target.span(diagnostic)
        key = (diagnostic.code, diagnostic.severity, span, template)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = _Group(target, diagnostic, template, asked)
        group.versions[version] = None
        group.cells.update(dict.fromkeys(target.cells))

    def findings(self, to_text: FixToText) -> list[Finding]:
        """Each mistake once, with its place in the file."""
        made = []
        for (_, _, span, _), group in self.groups.items():
            diagnostic = replace(
                group.diagnostic,
                message=_message(group),
                location=group.target.source.location(*span),
                cells=tuple(group.cells) if len(self.cells) > 1 else (),
            )
            fix = diagnostic.fix
            replacements = to_text(group.target, fix) if fix is not None else None
            made.append(Finding(diagnostic, replacements or ()))
        return made


def _message(group: _Group) -> str:
    versions = " and ".join(group.versions)
    if _VERSION in group.template:
        return group.template.replace(_VERSION, versions)
    if len(group.versions) < group.asked:
        return f"{group.template} (in vLLM {versions})"
    return group.template
