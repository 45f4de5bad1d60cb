"""What a sweep file says, as types; ``load_config`` is the only way to make them from a file.

Seconds inside; absent is None. The keys of the file, their meaning and their defaults: ``harness schema``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.plan.pruning import PruneRule
from harness.plan.spans import LocatedText, Source, Span

if TYPE_CHECKING:
    from harness.load.prompt_files import PromptFile

AXES = ("gpu-type", "gpu-count", "replicas", "engine-version", "model", "parameters")

AxisValue = str | int


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """A list of arguments under a name. ``group`` is the name of the set it was expanded from, often the
    same; ``place`` is where the set stands in the file."""

    name: str
    group: str
    items: tuple[LocatedText, ...] = field(default=(), compare=False)
    place: Span | None = field(default=None, compare=False)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The arguments as texts."""
        return tuple(item.text for item in self.items)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The axes and how they are thinned and extended, by GitHub Actions' rules.

    ``axes`` maps an axis to its values in the file's order (parameters by set name); ``exclude`` and ``include``
    hold partial combinations. ``fixed`` has the axes given once, outside the matrix; ``sets`` every set by name,
    ``common`` the arguments placed before each set's own; ``place`` is where the matrix stands, ``gpu_places`` where
    each GPU family first does.
    """

    axes: Mapping[str, tuple[AxisValue, ...]]
    exclude: tuple[Mapping[str, AxisValue], ...] = ()
    include: tuple[Mapping[str, AxisValue], ...] = ()
    fixed: Mapping[str, AxisValue] = field(default_factory=dict)
    sets: Mapping[str, ParameterSet] = field(default_factory=dict)
    common: tuple[LocatedText, ...] = ()
    place: Span = (0, 1)
    gpu_places: Mapping[str, Span] = field(default_factory=dict)

    @property
    def models(self) -> frozenset[str]:
        """Every model that some cell may have."""
        named = [*self.axes.get("model", ()), *(entry.get("model") for entry in (self.fixed, *self.include))]
        return frozenset(str(model) for model in named if model is not None)


@dataclass(frozen=True, slots=True)
class LengthConfig:
    """How many tokens: ``fixed`` uses ``mean`` alone, ``uniform`` needs ``minimum`` and ``maximum``.

    ``empirical`` has ``values`` and perhaps their ``weights``, from ``file`` where that is named.
    """

    distribution: str
    mean: float | None = None
    stddev: float | None = None
    minimum: int | None = None
    maximum: int | None = None
    values: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    file: str | None = None


@dataclass(frozen=True, slots=True)
class WorkloadConfig:
    """What is asked of each endpoint. ``extra`` goes into every request body.

    ``in_turns`` says that conversations are held, of ``turns`` turns (None: all that the prompts have), with
    ``think_time_ms`` between them. ``prompts`` is the path of a file, ``prompt_file`` what ``load_config`` found in it.
    ``tokenizer`` is the path of a ``tokenizer.json`` that makes synthetic prompts exact. ``place`` is where the lengths
    stand in the file.
    """

    input_tokens: LengthConfig = LengthConfig("fixed", mean=512)
    output_tokens: LengthConfig = LengthConfig("fixed", mean=128)
    prompts: str | None = None
    turns: LengthConfig | None = None
    in_turns: bool = False
    think_time_ms: LengthConfig | None = None
    api: str = "chat"
    stream: bool = True
    seed: int = 1
    cache: str = "isolated"
    prefix_tokens: int = 0
    prefix_groups: int = 1
    tokenizer: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    prompt_file: PromptFile | None = field(default=None, repr=False)
    place: Span | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LoadLevel:
    """One level of load: ``concurrency`` (closed loop), or an open loop.

    That is ``rate_per_s`` with its ``arrivals``, a ``ramp`` from one rate to another, ``steps`` of rates, or the
    ``trace`` that the prompts bring, its times multiplied by ``stretch``. It lasts ``duration_s`` or ``requests``,
    exactly one of them (a trace neither: all of it), after ``warmup_s`` (None: the load client's own). ``place`` is
    where it stands in the file.
    """

    concurrency: int | None = None
    rate_per_s: float | None = None
    ramp: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    trace: bool = False
    stretch: float = 1.0
    arrivals: str = "poisson"
    burstiness: float = 1.0
    duration_s: float | None = None
    requests: int | None = None
    warmup_s: float | None = None
    max_in_flight: int | None = None
    place: Span | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SearchLevel:
    """A search in the place of a level. ``find`` is ``rate``, the highest that keeps the sweep's SLO, or ``knee``.

    ``first`` is its first step, from which the others differ in the rate or the number of users; there are at most
    ``most_steps``.
    """

    find: str
    first: LoadLevel
    most_steps: int = 16


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what, in seconds."""

    ready_s: float = 1800.0
    operation_s: float = 600.0
    delete_s: float = 600.0
    request_s: float = 300.0


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """A sweep file, checked. ``models`` maps a model id to the path of its config.json, ``engines`` an engine
    version to the command of a local engine, ``engine_environment`` is what such engines get besides this process's
    own environment; paths are relative to nothing but the working directory."""

    source: Source = field(repr=False)
    name: str
    matrix: Matrix
    load: tuple[LoadLevel | SearchLevel, ...]
    workload: WorkloadConfig = WorkloadConfig()
    timeouts: Timeouts = Timeouts()
    question: str | None = None
    zone: str | None = None
    slo: str | None = None
    early_stop: bool | None = None
    prune: PruneRule | None = None
    repeats: int = 1
    models: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    engine_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file, as it was named."""
        return self.source.path

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's text, in hex: which configuration a result belongs to."""
        import hashlib  # loads OpenSSL, which a linter run does not need

        return hashlib.sha256(self.source.text.encode()).hexdigest()


def load_config(path: str) -> SweepConfig:
    """Reads and checks a sweep file (``-``: standard input) and its workload's files.

    ConfigError with every finding's place otherwise.
    """
    from harness.plan.config_reader import read_config
    from harness.plan.findings import Findings
    from harness.plan.source import parse, read_source

    source = read_source(path)
    findings = Findings(source)
    documents = parse(source, findings)
    config = read_config(source, documents, findings)
    if config is None or findings.has_errors:
        raise findings.failure()
    from harness.plan.workload_files import with_files

    return with_files(config)
