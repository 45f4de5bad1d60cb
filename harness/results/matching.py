"""Which points of two runs are compared with which, and which are not. Reads records through the runs' frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.load.verdict import VOID
from harness.results.compare import METRICS, Change, Subject, compare
from harness.results.frame import Run
from harness.results.samples import samples_of

IDENTITY = ("gpu_type", "gpu_count", "replicas", "engine_version", "model", "parameter_set", "parameters")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A cell (``load`` None) or a level that was measured and is not compared. ``of_a``: A has it, so it is missed;
    one that only B has is merely new."""

    name: str
    load: str | None
    reason: str
    of_a: bool = True

    def __str__(self) -> str:
        return f"{self.name}{f' · {self.load}' if self.load else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is compared with what: the cells' ids, their common levels, and what has no other side."""

    cells: tuple[tuple[str, str], ...]
    subjects: tuple[Subject, ...]
    left_out: tuple[LeftOut, ...]


def changes_between(
    a: Run,
    b: Run,
    *,
    where_a: Mapping[str, str] | None = None,
    where_b: Mapping[str, str] | None = None,
    metrics: Sequence[str] = METRICS,
    together: bool = False,
) -> list[Change]:
    """The changes from A to B of every cell and load level that both measured, in A's order (see ``pair_up``).

    ``together`` widens the intervals so that all of them hold at once at 95 %.
    """
    pairing = pair_up(a, b, where_a=where_a or {}, where_b=where_b or {})
    return compare(pairing.subjects, metrics=metrics, together=together)


def pair_up(a: Run, b: Run, *, where_a: Mapping[str, str], where_b: Mapping[str, str]) -> Pairing:
    """The cells and levels to compare, in A's order. Void points are not.

    Cells match when they agree in everything in which the two sides have any value in common: two sweeps over engine
    versions 0.12.0 and 0.15.1 are matched by the rest. UsageError when nothing matches, or one matches several.
    """
    left, right = _chosen(a, where_a, "A"), _chosen(b, where_b, "B")
    keys = [key for key in IDENTITY if set(left[key]) & set(right[key])]
    if not keys:
        raise UsageError("the two runs have nothing in common to be matched by")
    names, others = _by_key(left, keys, "A"), _by_key(right, keys, "B")
    pairs = tuple((cell, others[key]) for key, cell in names.items() if key in others)
    left_out = [
        LeftOut(str(left.loc[names[key], "label"]), None, "only in A") for key in names if key not in others
    ]
    left_out += [
        LeftOut(str(right.loc[others[key], "label"]), None, "only in B", of_a=False)
        for key in others
        if key not in names
    ]
    subjects: list[Subject] = []
    for pair in pairs:
        for found in _levels(a, b, pair, name=_name(left, right, pair)):
            (subjects if isinstance(found, Subject) else left_out).append(found)  # type: ignore[arg-type]  # each to its own
    if not subjects:
        raise UsageError(_nothing(left_out))
    return Pairing(pairs, tuple(subjects), tuple(left_out))


def _nothing(left_out: Sequence[LeftOut]) -> str:
    """Why there is nothing to compare."""
    said = "; ".join(str(one) for one in left_out[:4])
    more = f"; and {len(left_out) - 4} more" if len(left_out) > 4 else ""
    return f"no cell and load level was measured in both runs: {said}{more}"


def _chosen(run: Run, where: Mapping[str, str], side: str) -> pd.DataFrame:
    """The measured cells of a run that have the wanted values."""
    measured = set(run.points["cell_id"]) if not run.points.empty else set()
    cells = run.cells[run.cells.index.isin(measured)]
    for name, value in where.items():
        column = name.replace("-", "_")
        column = "parameter_set" if column == "parameters" else column
        if column not in cells:
            known = ", ".join(key.replace("_", "-") for key in IDENTITY)
            raise UsageError(f"cells have no '{name}'; one of: {known}")
        cells = cells[cells[column].astype(str) == value]
    if cells.empty:
        raise UsageError(f"nothing measured in {side}" + (f" with {dict(where)}" if where else ""))
    return cells


def _by_key(cells: pd.DataFrame, keys: Sequence[str], side: str) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], str] = {}
    for cell_id, cell in cells.iterrows():
        key = tuple(cell[name] for name in keys)
        if key in found:
            raise UsageError(
                f"several cells of {side} match one of the other side, e.g. '{cell['label']}'; narrow them with "
                f"--where-{side.lower()} KEY=VALUE"
            )
        found[key] = str(cell_id)
    return found


def _name(left: pd.DataFrame, right: pd.DataFrame, pair: tuple[str, str]) -> str:
    """The label, or both labels where they differ."""
    label_a, label_b = str(left.loc[pair[0], "label"]), str(right.loc[pair[1], "label"])
    return label_a if label_a == label_b else f"{label_a} → {label_b}"


def _levels(a: Run, b: Run, pair: tuple[str, str], *, name: str) -> Iterator[Subject | LeftOut]:
    """Each load level of the two cells: a subject where both have one to be believed, else why not."""
    # The same load by its description: a search has it at another number, and may have come to it twice.
    left, right = (
        run.points[run.points["cell_id"] == cell].drop_duplicates(["repeat", "load"])
        for run, cell in zip((a, b), pair, strict=True)
    )
    for load in dict.fromkeys([*left["load"], *right["load"]]):
        sides = [points[points["load"] == load] for points in (left, right)]
        if sides[0].empty or sides[1].empty:
            yield LeftOut(
                name, str(load), f"only in {'B' if sides[0].empty else 'A'}", of_a=not sides[0].empty
            )
            continue
        void = [_void(points, side) for points, side in zip(sides, "AB", strict=True)]
        if any(void):
            yield LeftOut(name, str(load), "; ".join(filter(None, void)))
            continue
        yield Subject(
            name, str(load), *(tuple(samples_of(run, at)) for run, at in zip((a, b), sides, strict=True))
        )


def _void(points: pd.DataFrame, side: str) -> str:
    """Why a level's points are not to be believed, by the first that is void; empty when all are."""
    void = points[points["verdict"] == VOID]
    if void.empty:
        return ""
    share = f" ({len(void)} of {len(points)} repeats)" if len(points) > 1 else ""
    return f"void in {side}{share}: {void['reasons'].iloc[0]}"
