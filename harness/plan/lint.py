"""Lints files: finds the parameter lists, judges each, and says where in the file every finding stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.errors import ConfigError
from harness.params.help import EngineHelp
from harness.params.lint import lint_parameters
from harness.params.model_config import ModelConfig
from harness.params.snapshots import known_versions
from harness.plan.cells import Cell
from harness.plan.detect import find_targets
from harness.plan.files import Candidate, discover
from harness.plan.findings import Findings
from harness.plan.fixes import replacements_for
from harness.plan.merge import Merger
from harness.plan.report import FileReport, Finding, LintReport
from harness.plan.source import read_bytes, read_source
from harness.plan.spans import Source
from harness.plan.suppress import apply_suppressions, find_suppressions
from harness.plan.targets import Target
from harness.plan.unchecked import MEMORY, REFUSED, NotChecked, is_refused, summed, unjudged_memory

ALL_VERSIONS = "all"
STRAY_TOKEN = "stray-token"


@dataclass(frozen=True, slots=True)
class LintOptions:
    """``engine_version`` overrides what the files say (``all``: every known version). The other facts fill in
    what a file does not say. ``skip_unrecognised`` passes over named files that hold no engine parameters.

    ``authorized`` lists the GPU families a zone lets us use, when it was asked (``live``). ``help_of`` gives the
    platform's own help document of an engine version, None for the shipped one.
    """

    engine_version: str | None = None
    gpu_type: str | None = None
    gpu_count: int | None = None
    model_config: str | None = None
    skip_unrecognised: bool = False
    live: bool = False
    authorized: tuple[str, ...] | None = None
    help_of: Callable[[str], EngineHelp | None] | None = None


def lint_paths(paths: Sequence[str], options: LintOptions | None = None) -> LintReport:
    """The report on every file behind ``paths``; a file that cannot be used is part of the report, not an error."""
    judge = Judge(options or LintOptions())
    files: list[FileReport] = []
    for candidate in discover(paths):
        report = lint_file(candidate.path, judge)
        if is_wanted(candidate, report, judge.options):
            files.append(report)
    return LintReport(tuple(files))


def is_wanted(candidate: Candidate, report: FileReport, options: LintOptions) -> bool:
    """False for a file that is nothing to lint and that nobody insists on."""
    return report.is_recognised or (candidate.is_named and not options.skip_unrecognised)


def lint_file(path: str, judge: Judge) -> FileReport:
    """The report on one file, or on standard input."""
    try:
        source = read_source(path)
    except ConfigError as error:
        return _unusable(path, error)
    return lint_source(source, judge)


def lint_source(source: Source, judge: Judge) -> FileReport:
    """The report on a text that is at hand."""
    findings = Findings(source)
    try:
        targets = find_targets(source, findings)
    except ConfigError as error:
        return _unusable(source.path, error, source)
    if targets is None:
        return _unrecognised(source)
    return lint_targets(source, targets, judge, findings)


def lint_targets(
    source: Source, targets: Sequence[Target], judge: Judge, findings: Findings | None = None
) -> FileReport:
    """The report on lists that were found in a source, together with what is wrong with the source itself."""
    about_file = findings or Findings(source)
    try:
        judged = judge.all(targets)
    except ConfigError as error:
        return _unusable(source.path, error, source)
    by_diagnostic = {id(finding.diagnostic): finding for finding in judged.findings}
    every = [*about_file.diagnostics, *(finding.diagnostic for finding in judged.findings)]
    kept, silenced = apply_suppressions(every, source, find_suppressions(source))
    return FileReport(
        path=source.path,
        findings=tuple(by_diagnostic.get(id(one)) or Finding(one) for one in sorted(kept, key=_place)),
        source=source,
        lists=len(targets),
        cells=sum(len(target.cells) for target in targets),
        suppressed=silenced,
        not_checked=judged.not_checked,
        is_usable=not about_file.has_errors,
    )


def _place(diagnostic: Diagnostic) -> tuple[int, int]:
    location = diagnostic.location
    return (0, 0) if location is None else (location.line, location.column)


def _unusable(path: str, error: ConfigError, source: Source | None = None) -> FileReport:
    diagnostics = error.diagnostics or (
        Diagnostic("config-unreadable", Severity.ERROR, Stage.STYLE, str(error)),
    )
    return FileReport(path, tuple(map(Finding, diagnostics)), source, is_usable=False)


def _unrecognised(source: Source) -> FileReport:
    message = f"{source.path}: no engine parameters here"
    hint = (
        "expected a sweep (matrix:), a deployment (inference-engine-parameters:), a list of parameters, "
        "container args or a vllm serve line"
    )
    finding = Finding(Diagnostic("config-unrecognised", Severity.ERROR, Stage.STYLE, message, hint=hint))
    return FileReport(source.path, (finding,), source, is_usable=False, is_recognised=False)


class Place(NamedTuple):
    """Where a list would run: the facts of a target, the options' filled in. ``config`` is a config.json's path."""

    version: str
    gpu_type: str | None
    gpu_count: int | None
    replicas: int | None
    model: str | None
    config: str | None

    def cell(self, parameters: tuple[str, ...]) -> Cell:
        """The list and its place as what is deployed."""
        count, replicas = self.gpu_count or 1, self.replicas or 1
        return Cell(self.gpu_type or "", count, replicas, self.version, self.model or "", parameters)


class Verdict(NamedTuple):
    """What was found in one list for one version, and what could not be judged of it."""

    diagnostics: tuple[Diagnostic, ...]
    not_checked: tuple[NotChecked, ...] = ()


class Judgement(NamedTuple):
    """The same of all lists of a file, each mistake once."""

    findings: list[Finding]
    not_checked: tuple[NotChecked, ...]


class Judge:
    """Judges targets, each distinct list once; lives for one run and remembers what it has judged."""

    def __init__(self, options: LintOptions) -> None:
        self.options = options
        self.known: dict[tuple[tuple[str, ...], Place], Verdict] = {}
        self.configs: dict[str, ModelConfig] = {}
        self.helps: dict[str, EngineHelp | None] = {}

    def all(self, targets: Iterable[Target]) -> Judgement:
        """Findings of all targets of one file: each mistake once, with every version and cell it hits."""
        merger = Merger()
        not_checked: list[NotChecked] = []
        for found in targets:
            merger.see(found)
            versions = self.versions(found)
            unjudged: dict[NotChecked, None] = {}
            for version in versions:
                target = self.without_model(found, version)
                verdict = self.one(target, version)
                unjudged.update(dict.fromkeys(verdict.not_checked))
                for diagnostic in verdict.diagnostics:
                    if not _is_beside_the_point(target, diagnostic):
                        merger.add(target, version, diagnostic, asked=len(versions))
            not_checked += unjudged
        return Judgement(merger.findings(replacements_for), summed(not_checked))

    def without_model(self, target: Target, version: str) -> Target:
        """The target without the model, where only the parser can tell which word of a command that is."""
        if not target.may_hold_model:
            return target
        found = self.one(target, version).diagnostics
        strays = [one.index for one in found if one.code == STRAY_TOKEN]
        return target if not strays or strays[0] is None else target.without_model(strays[0])

    def versions(self, target: Target) -> tuple[str, ...]:
        """The versions to judge a target for: the option's, the target's own, else all known ones."""
        wanted = self.options.engine_version
        if wanted is not None and wanted != ALL_VERSIONS:
            return (wanted,)
        if target.engine_version is not None and wanted is None:
            return (target.engine_version,)
        return known_versions()

    def one(self, target: Target, version: str) -> Verdict:
        """What is to be said of one list on one version, from memory where it was judged before."""
        place = Place(
            version,
            target.gpu_type or self.options.gpu_type,
            self.options.gpu_count if target.gpu_count is None else target.gpu_count,
            target.replicas,
            target.model,
            target.model_config or self.options.model_config,
        )
        key = (target.parameters, place)
        if key not in self.known:
            self.known[key] = self._judge(target.parameters, place)
        return self.known[key]

    def _judge(self, parameters: tuple[str, ...], place: Place) -> Verdict:
        config = self.model_config(place.config)
        found = lint_parameters(
            parameters,
            engine_version=place.version,
            help=self.help_of(place.version),
            gpu_type=place.gpu_type,
            gpu_count=place.gpu_count,
            replicas=place.replicas,
            model_config=config,
            model=place.model,
            live=self.options.live,
            authorized=self.options.authorized,
        )
        if is_refused(found):
            return Verdict(found, (REFUSED,))
        if place.gpu_type is None:
            return Verdict(found)
        # Here, so that a list without a GPU is linted without loading the arithmetic.
        from harness.plan.engine import UnknownEngine, engine_of
        from harness.plan.startable import finding_on

        reason = unjudged_memory(
            gpu_type=place.gpu_type, gpu_count=place.gpu_count, model=place.model, config=config
        )
        if reason is not None:
            return Verdict(found, (NotChecked(MEMORY, reason),))
        if config is not None:
            return Verdict(found)  # the rule has judged it
        cell = place.cell(parameters)
        engine = engine_of(cell)
        if isinstance(engine, UnknownEngine):
            return Verdict(found, (NotChecked(MEMORY, engine.reason),))
        short = finding_on(engine, cell)
        return Verdict(found if short is None else (*found, short))

    def help_of(self, version: str) -> EngineHelp | None:
        """The help document to judge by, asked for once; None for the one that ships with the package."""
        if self.options.help_of is None:
            return None
        if version not in self.helps:
            self.helps[version] = self.options.help_of(version)
        return self.helps[version]

    def model_config(self, path: str | None) -> ModelConfig | None:
        """What a model's config.json says, read once; ConfigError when it is none."""
        if path is None:
            return None
        if path not in self.configs:
            self.configs[path] = ModelConfig.from_json(read_model_config(path))
        return self.configs[path]


def read_model_config(path: str) -> Mapping[str, Any]:
    """The mapping in a model's config.json; ConfigError when the file holds something else."""
    try:
        document = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a model's config.json: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a model's config.json: it holds no JSON object")
    return document


def _is_beside_the_point(target: Target, diagnostic: Diagnostic) -> bool:
    """True for the platform's rules where no platform is, and for what hangs on a text only known when run."""
    if diagnostic.stage is Stage.PLATFORM and not target.is_managed:
        return True
    return target.is_opaque_at(diagnostic.index)
