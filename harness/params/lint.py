"""A parameter list to its findings: read it, ask the rules, sort. Pure.

Rules of the parse stage are asked when the reading has a problem of theirs; rules of start-up only when the parser
accepts the list; the others always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Stage
from harness.params.argv import read
from harness.params.context import Context, Rule
from harness.params.grammar import Grammar
from harness.params.help import EngineHelp, completed
from harness.params.mending import mends
from harness.params.model_config import ModelConfig
from harness.params.quoting import quote
from harness.params.reading import ProblemKind
from harness.params.rules import RULES
from harness.params.snapshots import (
    grammar_for,
    known_versions,
    load_grammar,
    load_help,
    load_registries,
    nearest_version,
)


class Knowledge(NamedTuple):
    """What is known of one engine version: its help document, how it reads flags, its plugins' names.

    ``offered`` is not None when the document is the platform's own: the names it lists.
    """

    help: EngineHelp
    grammar: Grammar
    registries: Mapping[str, tuple[str, ...]]
    offered: frozenset[str] | None = None


class RuleTable(NamedTuple):
    """The rules by what makes them worth asking: a problem's kind, a parameter in use, or nothing in particular.

    ``stages`` has each code's stage.
    """

    by_problem: Mapping[ProblemKind, tuple[Rule, ...]]
    by_flag: Mapping[str, tuple[Rule, ...]]
    always: tuple[Rule, ...]
    stages: Mapping[str, Stage]


@lru_cache(maxsize=16)
def knowledge_of(version: str, help: EngineHelp | None = None) -> Knowledge:
    """Shipped knowledge of ``version``, or what its own ``help`` says with the nearest known version's grammar."""
    reference = version if version in known_versions() else nearest_version(version)
    registries = load_registries(reference)
    if help is not None:
        whole = completed(help, load_help(reference), same_version=reference == version)
        return Knowledge(whole, grammar_for(whole, reference), registries, frozenset(help.by_name))
    if reference == version:
        return Knowledge(load_help(version), load_grammar(version), registries)
    borrowed = replace(load_help(reference), version=version)
    return Knowledge(borrowed, grammar_for(borrowed, reference), registries)


def lint_parameters(
    parameters: Sequence[str],
    *,
    engine_version: str,
    help: EngineHelp | None = None,
    gpu_type: str | None = None,
    gpu_count: int | None = None,
    replicas: int | None = None,
    model_config: Mapping[str, object] | ModelConfig | None = None,
    model: str | None = None,
    live: bool = False,
    authorized: Sequence[str] | None = None,
) -> tuple[Diagnostic, ...]:
    """Every finding about one list, sorted by item and character.

    ``gpu_count`` is per replica; ``model_config`` a decoded ``config.json``; ``authorized`` the GPU families this
    organization may use. What is not known is left None, and the rules that need it stay silent.
    """
    known = knowledge_of(engine_version, help)
    if model_config is not None and not isinstance(model_config, ModelConfig):
        model_config = ModelConfig.from_json(model_config)
    context = Context(
        parameters=tuple(parameters),
        version=engine_version,
        help=known.help,
        grammar=known.grammar,
        reading=read(parameters, known.grammar),
        gpu_type=gpu_type,
        gpu_count=gpu_count,
        replicas=replicas,
        model=model_config,
        model_name=model,
        live=live,
        authorized_gpu_types=None if authorized is None else tuple(authorized),
        registries=known.registries,
        offered=known.offered,
        stages=rule_table().stages,
    )
    return tuple(sorted(_findings(context), key=_place))


def is_refused(findings: Iterable[Diagnostic]) -> bool:
    """True when the engine's parser refuses the list, so that the rules of start-up were not asked."""
    return any(one.is_error and one.stage is Stage.PARSE for one in findings)


def _findings(context: Context) -> Iterable[Diagnostic]:
    refused = bool(context.reading.problems)
    explained = False
    kinds = tuple(dict.fromkeys(problem.kind for problem in context.reading.problems))
    for rule in _worth_asking(kinds, tuple(context.reading.by_name)):
        if refused and rule.STAGE is Stage.STARTUP:
            continue
        for finding in rule.check(context):
            explained = explained or (finding.is_error and finding.stage is Stage.PARSE)
            if finding.fix is not None and rule.STAGE is Stage.PARSE and not mends(finding.fix, context):
                yield replace(finding, fix=None)
            else:
                yield finding
    if refused and not explained:
        yield _plain_refusal(context)


def _plain_refusal(context: Context) -> Diagnostic:
    """The first problem in plain words, where each rule left it to another: a refused list is never silent."""
    problem = context.reading.problems[0]
    code = rule_table().by_problem[problem.kind][0].CODE
    return context.error(code, problem.span, f"vLLM {context.version} refuses {quote(problem.text)}")


@lru_cache(maxsize=1024)
def _worth_asking(kinds: tuple[ProblemKind, ...], names: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules for a list with problems of these kinds that gives these parameters."""
    table = rule_table()
    asked: dict[str, Rule] = {}
    for kind in kinds:
        for rule in table.by_problem.get(kind, ()):
            asked[rule.CODE] = rule
    for name in names:
        for rule in table.by_flag.get(name, ()):
            asked[rule.CODE] = rule
    for rule in table.always:
        asked[rule.CODE] = rule
    return tuple(asked.values())


@cache
def rule_table() -> RuleTable:
    """The registry, indexed."""
    by_problem: dict[ProblemKind, list[Rule]] = {}
    by_flag: dict[str, list[Rule]] = {}
    always: list[Rule] = []
    for rule in RULES:
        kinds = getattr(rule, "PROBLEMS", None)
        names = getattr(rule, "FLAGS", None)
        if kinds is None and names is None:
            always.append(rule)
        for kind in kinds or ():
            by_problem.setdefault(kind, []).append(rule)
        for name in names or ():
            by_flag.setdefault(name, []).append(rule)
    return RuleTable(
        {kind: tuple(rules) for kind, rules in by_problem.items()},
        {name: tuple(rules) for name, rules in by_flag.items()},
        tuple(always),
        {rule.CODE: rule.STAGE for rule in RULES},
    )


def _place(diagnostic: Diagnostic) -> tuple[int, int, str]:
    return (-1 if diagnostic.index is None else diagnostic.index, diagnostic.start, diagnostic.code)
