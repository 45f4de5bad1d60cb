"""Judges parameter lists where they would run, each distinct list once, with what could not be judged of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.diagnostics import Diagnostic, Stage
from harness.errors import ConfigError
from harness.params.help import EngineHelp
from harness.params.lint import is_refused, lint_parameters
from harness.params.model_config import ModelConfig
from harness.params.rules.unknown_gpu_family import NO_GPU
from harness.params.snapshots import known_versions
from harness.plan.cells import Cell
from harness.plan.fixes import replacements_for
from harness.plan.merge import Merger
from harness.plan.report import Finding
from harness.plan.request_lengths import request_finding
from harness.plan.source import read_bytes
from harness.plan.targets import Target
from harness.plan.unchecked import MEMORY, REFUSED, NotChecked, summed, unjudged_memory, unjudged_without_gpu

ALL_VERSIONS = "all"
STRAY_TOKEN = "stray-token"
HEADS, TOO_FEW_GPUS = "heads-not-divisible", "too-few-gpus"
TOO_LONG = "sequence-length"
# Set beside an engine's command, this variable lifts the model's limit.
LIFTED = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


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
                for diagnostic in (*verdict.diagnostics, *self.of_requests(target, version)):
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
        place = self.place(target, version)
        key = (target.parameters, place)
        if key not in self.known:
            self.known[key] = self._judge(target.parameters, place)
        return self.known[key]

    def of_requests(self, target: Target, version: str) -> Iterator[Diagnostic]:
        """That what will be asked of the target does not fit it."""
        if target.requests is None:
            return
        place = self.place(target, version)
        cell, config = place.cell(target.parameters), self.model_config(place.config)
        found = request_finding(target.requests, cell, config, target.source)
        if found is not None:
            yield found

    def place(self, target: Target, version: str) -> Place:
        """Where a target runs, as far as it or the options say."""
        return Place(
            version,
            target.gpu_type or self.options.gpu_type,
            self.options.gpu_count if target.gpu_count is None else target.gpu_count,
            target.replicas,
            target.model,
            target.model_config or self.options.model_config,
        )

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
        if config is None and place.model is not None:
            told = {one.code for one in found}
            of_model = _of_model(place.model, parameters, place.version)
            found = (*found, *(one for one in of_model if one.code != HEADS or TOO_FEW_GPUS not in told))
        if place.gpu_type == NO_GPU:
            return Verdict(found)
        if place.gpu_type is None:
            return Verdict(found, () if place.model is None else (unjudged_without_gpu(place.model, config),))
        return self._with_memory(found, parameters, place, config)

    def _with_memory(
        self,
        found: tuple[Diagnostic, ...],
        parameters: tuple[str, ...],
        place: Place,
        config: ModelConfig | None,
    ) -> Verdict:
        """With what the packaged table of models says of memory, or why nothing does."""
        reason = unjudged_memory(
            gpu_type=place.gpu_type or "", gpu_count=place.gpu_count, model=place.model, config=config
        )
        if reason is not None:
            return Verdict(found, (NotChecked(MEMORY, reason),))
        if config is not None:
            return Verdict(found)  # the rule has judged it
        # Here, so that other lists are linted without loading the arithmetic.
        from harness.plan.engine import UnknownEngine, engine_of
        from harness.plan.startable import place_finding

        cell = place.cell(parameters)
        engine = engine_of(cell)
        if isinstance(engine, UnknownEngine):
            return Verdict(found, (NotChecked(MEMORY, engine.reason),))
        short = place_finding(engine, cell)
        told = {one.code for one in found} & {HEADS}
        return Verdict(found if short is None or short.code in told else (*found, short))

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


def _of_model(model: str, parameters: tuple[str, ...], version: str) -> Iterator[Diagnostic]:
    """What the packaged table says of a model that nobody gives the config.json of."""
    # Here, so that lists without a model are linted without loading the tables.
    from harness.forecast.tables import model as facts_of
    from harness.plan.known_model import model_findings

    facts = facts_of(model)
    if facts is not None:
        yield from model_findings(facts, parameters, version)


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
    """True for rules that hold where the target is not: the platform's without one, a limit that the command lifts.

    And for what hangs on a text only known when run.
    """
    if diagnostic.stage is Stage.PLATFORM and not target.is_managed:
        return True
    if not target.is_managed and diagnostic.code == TOO_LONG and LIFTED in target.source.text:
        return True
    return target.is_opaque_at(diagnostic.index)
