"""Expands a matrix to cells, one at a time, by the rules of GitHub Actions' matrix. Pure.

The first axis varies slowest. ``exclude`` removes every combination that agrees with it; then each ``include`` entry
extends every combination whose axis values it would not change, and becomes a combination of its own where there is
none. Nothing is kept but what is being worked on, so that 100,000 cells need no more memory than ten.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from harness.diagnostics import Location
from harness.errors import ConfigError
from harness.plan.cells import Cell
from harness.plan.config import AXES, AxisValue, Matrix, ParameterSet, SweepConfig

Combination = Mapping[str, AxisValue]

DEFAULTS: Combination = {"gpu-count": 1, "replicas": 1}
NEEDED = ("gpu-type", "engine-version", "model")
EMPTY_SET = ParameterSet("default", "default")


def expand(config: SweepConfig) -> Iterator[Cell]:
    """The cells of a sweep in the file's order: the product of the axes, then what ``include`` added.

    ConfigError for an include entry that, with everything else excluded, lacks what a cell needs.
    """
    matrix = config.matrix
    prepared: dict[str, tuple[tuple[str, ...], tuple[Location | None, ...]]] = {}
    for combination in combinations(matrix):
        _check_whole(config, combination)
        chosen = set_of(matrix, combination)
        if chosen.name not in prepared:
            items = (*matrix.common, *chosen.items)
            prepared[chosen.name] = (
                tuple(item.text for item in items),
                tuple(item.location() for item in items),
            )
        parameters, origins = prepared[chosen.name]
        yield Cell(
            gpu_type=str(combination["gpu-type"]),
            gpu_count=int(combination["gpu-count"]),
            replicas=int(combination["replicas"]),
            engine_version=str(combination["engine-version"]),
            model=str(combination["model"]),
            parameters=parameters,
            parameter_set=chosen.name,
            axes={axis: str(combination[axis]) for axis in AXES if axis in combination},
            origins=origins,
        )


def _check_whole(config: SweepConfig, combination: Combination) -> None:
    lacking = [name for name in NEEDED if name not in combination]
    if lacking:
        own = ", ".join(f"{name}: {value}" for name, value in combination.items())
        raise ConfigError(
            f"{config.path}: the included combination {{{own}}} has no {' and no '.join(lacking)}"
        )


def count(config: SweepConfig) -> int:
    """How many cells ``expand`` yields; cheap when nothing is excluded or included."""
    matrix = config.matrix
    if matrix.axes and not matrix.exclude and not matrix.include:
        total = 1
        for values in matrix.axes.values():
            total *= len(values)
        return total
    return sum(1 for _ in combinations(matrix))


def set_of(matrix: Matrix, combination: Combination) -> ParameterSet:
    """The parameter set of a combination; the empty one when it names none."""
    name = combination.get("parameters")
    return EMPTY_SET if name is None else matrix.sets[str(name)]


def combinations(matrix: Matrix) -> Iterator[Combination]:
    """Every combination with the fixed axes and defaults filled in."""
    ground = {**DEFAULTS, **matrix.fixed}
    if not matrix.axes and not matrix.include:
        yield ground
        return
    used = [False] * len(matrix.include)
    for original in _product(matrix):
        extended = dict(original)
        for index, entry in enumerate(matrix.include):
            if _extends(matrix, original, entry):
                used[index] = True
                extended.update((key, value) for key, value in entry.items() if key not in original)
        yield {**ground, **extended}
    added: set[tuple[tuple[str, AxisValue], ...]] = set()
    for entry, was_used in zip(matrix.include, used, strict=True):
        key = tuple(sorted(entry.items()))
        if not was_used and key not in added:
            added.add(key)
            yield {**ground, **_first_of_group(matrix, entry)}


def _product(matrix: Matrix) -> Iterator[Combination]:
    if not matrix.axes:
        return
    names = tuple(matrix.axes)
    for values in itertools.product(*matrix.axes.values()):
        original = dict(zip(names, values, strict=True))
        if not any(_agrees(matrix, original, entry) for entry in matrix.exclude):
            yield original


def _agrees(matrix: Matrix, original: Combination, entry: Combination) -> bool:
    """True when the combination has every value of the entry."""
    return all(key in original and _same(matrix, key, original[key], value) for key, value in entry.items())


def _extends(matrix: Matrix, original: Combination, entry: Combination) -> bool:
    """True when adding the entry changes no axis value of the combination."""
    return all(
        key not in original or _same(matrix, key, original[key], value) for key, value in entry.items()
    )


def _same(matrix: Matrix, key: str, have: AxisValue, wanted: AxisValue) -> bool:
    """Equality of axis values; a parameter set also answers to the name of the set it was expanded from."""
    return have == wanted or (key == "parameters" and matrix.sets[str(have)].group == wanted)


def _first_of_group(matrix: Matrix, entry: Combination) -> Combination:
    """The entry with a group's name replaced by its only set's name."""
    name = entry.get("parameters")
    if name is None or name in matrix.sets:
        return entry
    made = next(own for own, parameters in matrix.sets.items() if parameters.group == name)
    return {**entry, "parameters": made}
