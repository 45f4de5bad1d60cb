"""What a shell is offered for values at a Tab. All of it is loaded when it is asked for, not when a command starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from harness.params.grammar import Grammar

# A value, and what some shells show beside it.
Value = tuple[str, str | None]
Complete = Callable[["click.Context", "click.Parameter", str], "list[CompletionItem]"]


def items(values: Iterable[Value], incomplete: str) -> list[CompletionItem]:
    """Those values that begin with what is typed already."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(text, help=note) for text, note in values if text.startswith(incomplete)]


def offering(values: Callable[[], Iterable[Value]]) -> Complete:
    """A ``shell_complete`` that offers the same values wherever it stands."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del ctx, parameter
        return items(values(), incomplete)

    return complete


def _engine_versions() -> list[Value]:
    from harness.cli.engine_versions import at_hand

    return [(version, None) for version in at_hand()]


def _gpu_types() -> list[Value]:
    from harness.forecast.tables import exoscale_gpus

    return [(family, gpu.name) for family, gpu in exoscale_gpus().items()]


def _rule_codes() -> list[Value]:
    from harness.params.explain import codes, page
    from harness.plan.codes import FILE_CODES

    pages = [found for found in map(page, codes()) if found is not None]
    return [*((found.code, found.title) for found in pages), *FILE_CODES.items()]


def _slo_presets() -> list[Value]:
    from harness.load.slo import PRESETS

    return list(PRESETS.items())


def _metrics() -> list[Value]:
    from harness.results.compare import METRICS

    return [(metric, None) for metric in METRICS]


engine_versions = offering(_engine_versions)
engine_versions_or_all = offering(lambda: [*_engine_versions(), ("all", "every known version")])
gpu_types = offering(_gpu_types)
rule_codes = offering(_rule_codes)
slo_presets = offering(_slo_presets)
metrics = offering(_metrics)


def flags_of(version: str | None) -> list[Value]:
    """The flags of an engine version with what they take; none where nothing is known of it."""
    from harness.params.changes import describe_type

    grammar = _grammar(version)
    return (
        [] if grammar is None else [(flag, describe_type(option)) for flag, option in grammar.by_flag.items()]
    )


def _grammar(version: str | None) -> Grammar | None:
    from harness.cli.engine_versions import at_hand
    from harness.cli.params import knowledge
    from harness.params.versions import spelled_out

    try:
        # Spelled out here, because a note on standard error would land in the line that is being typed.
        return knowledge(None if version is None else spelled_out(version, at_hand())).grammar
    except HarnessError:
        return None


def parameter_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Long names without dashes, or flags where a dash is typed already."""
    del parameter
    values = flags_of(ctx.params.get("engine_version"))
    if not incomplete.startswith("-"):
        values = [(flag[2:], note) for flag, note in values if flag.startswith("--")]
    return items(values, incomplete)


def lint_words(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files before ``--``; after it the engine's flags, and after one of them the values it takes."""
    from click.shell_completion import CompletionItem

    from harness.cli.lint import ARGUMENTS

    del parameter
    arguments = ctx.meta.get(ARGUMENTS)
    if arguments is None:
        return [CompletionItem(incomplete, type="file")]
    version = ctx.params.get("engine_version")
    grammar = _grammar(None if version == "all" else version)
    option = grammar.by_flag.get(arguments[-1]) if grammar is not None and arguments else None
    if option is not None and not option.is_switch:
        return items(((value, None) for value in option.choices or option.known_values or ()), incomplete)
    return items(flags_of(None if version == "all" else version), incomplete)
