"""``harness params show NAME``: one parameter by whatever name people give it, and what is said where there is none."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from harness.params.grammar import Grammar, Option
    from harness.params.names import Lookup


class FlagCommand(click.Command):
    """A command whose argument may be a flag of vLLM, dashes and all: ``-tp``, ``--max-model-len=4096``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts what looks like an option and is none of ours behind ``--``, where click takes it for an argument."""
        ours = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        switches = {text for option in ours if option.is_flag for text in option.opts}
        valued = {text for option in ours if not option.is_flag for text in option.opts}
        kept: list[str] = []
        foreign: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                foreign += words
            elif word in valued:
                kept += [word, *itertools.islice(words, 1)]
            elif not word.startswith("-") or word in switches or word.partition("=")[0] in valued:
                kept.append(word)
            else:
                foreign.append(word)
        return super().parse_args(ctx, [*kept, "--", *foreign] if foreign else kept)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Our options, and the flags of the version asked for."""
        from harness.cli.completing import flags_of, items

        found = super().shell_complete(ctx, incomplete)
        return found + items(flags_of(ctx.params.get("engine_version")), incomplete)


def find(name: str, grammar: Grammar) -> Option:
    """The option of a name, of any spelling of its flags, or of a beginning that only it has; UsageError for none."""
    from harness.params.flags import matching_flags
    from harness.params.names import bare_name, look_up
    from harness.params.snapshots import known_versions, load_grammar

    flag = name.partition("=")[0]
    bare = bare_name(flag)
    is_short = flag.startswith("-") and not flag.startswith("--")
    if is_short and flag.startswith("-O"):
        bare = "optimization-level"  # -O3 is rewritten before the parser sees it
    for spelling in (flag, f"--{bare}", f"-{flag}"):
        if spelling in grammar.by_flag:
            return grammar.by_flag[spelling]
    longer = matching_flags(f"--{bare}", grammar) if bare and not is_short else []
    meant = {grammar.by_flag[flag].name: grammar.by_flag[flag] for flag in longer}
    if len(meant) == 1:
        return next(iter(meant.values()))
    if meant:
        raise UsageError(f"{name!r} may be {' or '.join(longer)}")
    elsewhere = [version for version in known_versions() if flag in load_grammar(version).by_flag]
    if elsewhere and is_short:
        long = load_grammar(elsewhere[-1]).by_flag[flag].spec.flag
        raise UsageError(f"vLLM {grammar.version} has no {flag}, {elsewhere[-1]} has: it is {long}")
    raise UsageError(not_there(name, look_up(flag, grammar), grammar.version))


def not_there(name: str, lookup: Lookup, version: str) -> str:
    """Why a version has no such parameter: it is gone, it came later, or it never was."""
    flag = f"--{lookup.name}"
    if lookup.older is not None:
        said = f"vLLM {version} has no {flag} any more, {lookup.older} still had it"
        more = f"; `harness params show {lookup.name} --engine-version {lookup.older}` shows it"
        return f"{said}{_instead(lookup)}{more}"
    if lookup.newer is not None and lookup.replacement is None:
        return f"vLLM {version} does not have {flag} yet, {lookup.newer} has"
    if lookup.replacement is not None:
        return f"vLLM {version} has no {flag} any more: it went before every version known here{_instead(lookup)}"
    near = [f"--{lookup.other_name}"] if lookup.other_name is not None else [f"--{n}" for n in lookup.near]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `harness params list` has them all"
    return f"vLLM {version} has no parameter {name!r}{hint}"


def _instead(lookup: Lookup) -> str:
    return f"; use {lookup.replacement}" if lookup.replacement else "; nothing replaces it"


def versions_with(name: str) -> list[str]:
    """The shipped versions that have a parameter."""
    from harness.params.snapshots import known_versions, load_grammar

    return [version for version in known_versions() if name in load_grammar(version).names]


def facts(option: Option) -> dict[str, Any]:
    """All that is known of a parameter, for JSON."""
    from harness.params.changes import describe_type

    spec = option.spec
    return {
        "name": spec.name,
        "flags": list(option.flags),
        "type": spec.type,
        "takes": describe_type(option),
        "default": spec.default,
        "section": spec.section,
        "description": spec.description,
        "choices": list(option.choices or ()),
        "known_values": list(option.known_values or ()),
        "keys": {key: field.text for key, field in option.schema.fields.items()} if option.schema else {},
        "repeating_adds": option.appends,
        "deprecated": option.deprecated,
    }
