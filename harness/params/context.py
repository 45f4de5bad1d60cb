"""What a rule is given: the list, how it was read, the version's knowledge, and where it is to run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.grammar import Grammar
from harness.params.help import EngineHelp
from harness.params.reading import Argument, Reading, Span

if TYPE_CHECKING:
    from harness.params.model_config import ModelConfig


class Rule(Protocol):
    """A rule module. Its docstring is its page, ``Wrong::`` and ``Right::`` blocks are run by a test.

    ``FLAGS``, where a module has it, names the parameters the rule is about, ``PROBLEMS`` the kinds of problem: it
    is asked only about lists that use one of the first or have one of the second. A rule without either is always
    asked.
    """

    CODE: str
    STAGE: Stage
    SEVERITY: Severity

    def check(self, context: Context) -> Iterator[Diagnostic]:
        """The findings of this rule, in any order."""
        ...


class Context(NamedTuple):
    """One list to judge. Facts that are not known are None, and rules that need them stay silent.

    ``gpu_count`` is per replica. ``registries`` maps a kind of plugin (``tool_call_parser``) to the version's names.
    ``help`` is whole: what a live document left out is filled in; ``offered`` has the names a live document lists.
    A finding's stage is that of its rule: ``stages`` maps codes to stages, ``stage`` holds for the others.
    """

    parameters: tuple[str, ...]
    version: str
    help: EngineHelp
    grammar: Grammar
    reading: Reading
    gpu_type: str | None = None
    gpu_count: int | None = None
    replicas: int | None = None
    model: ModelConfig | None = None
    model_name: str | None = None
    live: bool = False
    authorized_gpu_types: tuple[str, ...] | None = None
    registries: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    offered: frozenset[str] | None = None
    stages: Mapping[str, Stage] = MappingProxyType({})
    stage: Stage = Stage.PARSE

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The arguments that were read, in the parser's order."""
        return self.reading.arguments

    def last(self, name: str) -> Argument | None:
        """The argument that decides parameter ``name``, or None."""
        return self.reading.deciding.get(name)

    def error(
        self,
        code: str,
        span: Span | None,
        message: str,
        *,
        hint: str | None = None,
        note: str | None = None,
        fix: Edit | None = None,
    ) -> Diagnostic:
        """A finding that makes the list not ok."""
        return self._finding(Severity.ERROR, code, span, message, hint, note, fix)

    def warning(
        self,
        code: str,
        span: Span | None,
        message: str,
        *,
        hint: str | None = None,
        note: str | None = None,
        fix: Edit | None = None,
    ) -> Diagnostic:
        """A finding that the engine or the platform lets pass, but that is likely not meant."""
        return self._finding(Severity.WARNING, code, span, message, hint, note, fix)

    def info(
        self,
        code: str,
        span: Span | None,
        message: str,
        *,
        hint: str | None = None,
        note: str | None = None,
        fix: Edit | None = None,
    ) -> Diagnostic:
        """A finding worth knowing, nothing to mend."""
        return self._finding(Severity.INFO, code, span, message, hint, note, fix)

    def _finding(
        self,
        severity: Severity,
        code: str,
        span: Span | None,
        message: str,
        hint: str | None,
        note: str | None,
        fix: Edit | None,
    ) -> Diagnostic:
        stage = self.stages.get(code, self.stage)
        return at(span, code, severity, stage, message, hint=hint, note=note, fix=fix)


def at(
    span: Span | None,
    code: str,
    severity: Severity,
    stage: Stage,
    message: str,
    *,
    hint: str | None = None,
    note: str | None = None,
    fix: Edit | None = None,
) -> Diagnostic:
    """A finding at a place in the list; without one it is about the list as a whole."""
    if span is None:
        return Diagnostic(code, severity, stage, message, hint=hint, note=note, fix=fix)
    return Diagnostic(
        code, severity, stage, message, span.index, span.start, span.end, hint=hint, note=note, fix=fix
    )
