"""A ``vllm bench sweep serve`` command as sweep files. Pure: text out, nothing written.

A sweep file has one workload and one list of load levels for all its cells. Benchmarks that differ in their workload,
server combinations that are linked to different benchmarks, and models therefore become files of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from harness.errors import ConfigError
from harness.params.argv import read
from harness.params.lint import knowledge_of
from harness.params.rules.managed_flag import BREAKS, removal
from harness.plan.vllm_bench import Bench, bench_of, options_of
from harness.plan.vllm_params import Combination, Links, applied, flag_of, name_of, pairs

SIZES = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")


@dataclass(frozen=True, slots=True)
class VllmSweep:
    """What a sweep command says, and what it does not: GPU types, engine version; ``model`` where it names none."""

    serve_command: Sequence[str]
    bench_command: Sequence[str]
    serves: Sequence[Combination]
    benches: Sequence[Combination]
    gpu_types: Sequence[str]
    engine_version: str
    links: Links = ()
    repeats: int = 3
    model: str | None = None
    gpu_count: int | None = None
    ready_timeout_s: float = 300.0
    name: str = "imported"
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """One sweep file: its name, its text, and the options in it that vLLM would not know either."""

    name: str
    text: str
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Set:
    """One server combination: its arguments without those the platform sets, and what the cell runs on."""

    name: str
    arguments: tuple[str, ...]
    model: str | None
    gpu_count: int
    notes: tuple[str, ...]


def imported(sweep: VllmSweep) -> list[Imported]:
    """The sweep files; ConfigError when nothing is run, or a model is named nowhere."""
    chosen = list(pairs(sweep.serves, sweep.benches, sweep.links))
    if not chosen:
        raise ConfigError("--link-vars leaves no server combination with a benchmark to run")
    sets = {s: _set(sweep, sweep.serves[s]) for s in dict.fromkeys(s for s, _ in chosen)}
    benches = {
        b: bench_of(options_of(applied(sweep.bench_command, sweep.benches[b])))
        for b in dict.fromkeys(b for _, b in chosen)
    }
    files = _files(chosen, sets, benches)
    names = [sweep.name if len(files) == 1 else f"{sweep.name}-{place + 1}" for place in range(len(files))]
    return [
        _file(
            replace(sweep, name=name), [sets[s] for s in servers], [benches[b] for b in asked], of=len(files)
        )
        for name, (servers, asked) in zip(names, files, strict=True)
    ]


def _files(
    chosen: Sequence[tuple[int, int]], sets: Mapping[int, _Set], benches: Mapping[int, Bench]
) -> list[tuple[list[int], list[int]]]:
    """Servers and benchmarks of each file: those of one workload that the same servers of one model are to run."""
    servers: dict[tuple[int, str | None], list[int]] = {}
    for s, b in chosen:
        servers.setdefault((b, sets[s].model), []).append(s)
    files: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for (b, _), run_by in servers.items():
        files.setdefault((repr(benches[b].workload), tuple(run_by)), []).append(b)
    return [(list(run_by), asked) for (_, run_by), asked in files.items()]


def _set(sweep: VllmSweep, combination: Combination) -> _Set:
    words = applied(sweep.serve_command, combination)
    model, arguments = _engine_words(words)
    reading = read(arguments, knowledge_of(sweep.engine_version).grammar)
    managed = [argument for name in BREAKS if (argument := reading.deciding.get(name)) is not None]
    edits = [edit for argument in managed if (edit := removal(argument)) is not None]
    kept = [word for place, word in enumerate(arguments) if not any(e.first <= place < e.last for e in edits)]
    sizes = [argument.converted for name in SIZES if (argument := reading.deciding.get(name)) is not None]
    gpus = 1
    for size in sizes:
        gpus *= size if isinstance(size, int) and size > 0 else 1
    return _Set(
        name=name_of({key: value for key, value in combination.items() if flag_of(key)[2:] not in BREAKS}),
        arguments=tuple(kept),
        model=model or sweep.model,
        gpu_count=sweep.gpu_count or gpus,
        notes=tuple(f"{argument.flag_text}: left out; {BREAKS[str(argument.name)]}" for argument in managed),
    )


def _engine_words(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The model and the engine's own arguments of ``vllm serve MODEL ...``."""
    place = next((place for place, word in enumerate(words) if word == "serve"), 0)
    rest = list(words[place + 1 :])
    model = rest.pop(0) if rest and not rest[0].startswith("-") else None
    while "--model" in rest[:-1]:
        at = rest.index("--model")
        model = rest[at + 1]
        del rest[at : at + 2]
    return model, rest


def _file(sweep: VllmSweep, sets: Sequence[_Set], benches: Sequence[Bench], *, of: int) -> Imported:
    unique = _unique(sets)
    model = next((each.model for each in unique if each.model is not None), None) or next(
        (bench.model for bench in benches if bench.model is not None), None
    )
    if model is None:
        raise ConfigError("no model is named: not after 'vllm serve', not by --model; give one with --model")
    unknown = tuple(dict.fromkeys(flag for bench in benches for flag in bench.unknown))
    levels = list({repr(bench.level): bench.level for bench in benches}.values())
    lines = [*_comments(sweep, unique, benches, unknown, of=of), ""]
    lines += [f"name: {flow(sweep.name)}", f"model: {flow(model)}"]
    lines += [f"engine-version: {flow(sweep.engine_version)}"]
    lines += _matrix(sweep, unique)
    lines += ["", f"workload: {flow(benches[0].workload)}", "load:"]
    lines += [f"  - {flow(level)}" for level in levels]
    lines += [f"repeats: {sweep.repeats}", f"timeouts: {flow({'ready': f'{sweep.ready_timeout_s:g}s'})}", ""]
    return Imported(sweep.name, "\n".join(lines), unknown)


def _unique(sets: Sequence[_Set]) -> list[_Set]:
    """Sets with different arguments, each with a name of its own."""
    found: dict[tuple[str, ...], _Set] = {}
    for each in sets:
        found.setdefault(each.arguments, each)
    taken: dict[str, int] = {}
    named = []
    for each in found.values():
        taken[each.name] = taken.get(each.name, 0) + 1
        again = taken[each.name]
        named.append(each if again == 1 else replace(each, name=f"{each.name} {again}"))
    return named


def _matrix(sweep: VllmSweep, sets: Sequence[_Set]) -> list[str]:
    """The axes; where the sets need different numbers of GPUs, an include entry gives each its own."""
    counts = {each.gpu_count for each in sets}
    alike = len(counts) == 1
    lines = [f"gpu-count: {counts.pop()}"] if alike else []
    lines += ["matrix:", f"  gpu-type: {flow(list(sweep.gpu_types))}", "  parameters:"]
    lines += [f"    {flow(each.name)}: {flow(list(each.arguments))}" for each in sets]
    entries = [{"parameters": each.name, "gpu-count": each.gpu_count} for each in sets]
    return lines if alike else [*lines, "  include:", *(f"    - {flow(entry)}" for entry in entries)]


def _comments(
    sweep: VllmSweep, sets: Sequence[_Set], benches: Sequence[Bench], unknown: Sequence[str], *, of: int
) -> list[str]:
    lines = [
        f"# From a vllm bench sweep. Server combinations: {len(sets)}, benchmarks: {len(benches)}"
        + (
            f"; one of {of} files, since a sweep file has one workload and one list of levels (and here one model)."
            if of > 1
            else "."
        ),
        "# GPU types and the engine version are not in vLLM's sweep: check them.",
    ]
    notes = [*sweep.notes, *(note for each in sets for note in each.notes)]
    notes += [note for bench in benches for note in bench.notes]
    if notes:
        lines += ["# Said otherwise here, or not at all:"]
        lines += [f"#   {note}" for note in dict.fromkeys(" ".join(note.split()) for note in notes)]
    if unknown:
        lines += [f"# Not options of vllm bench serve, and left out: {', '.join(unknown)}"]
    return lines


def flow(value: object) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()


def all_unknown(files: Iterable[Imported]) -> list[str]:
    """Options of all files that vLLM would not know either, each once."""
    return list(dict.fromkeys(flag for each in files for flag in each.unknown))
