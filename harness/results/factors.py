"""What each factor of the matrix does on its own: cells that differ in nothing else, compared in pairs. Pure.

A factor is an axis (gpu_type, engine_version, ...) or a single engine flag. Its effect is the mean change of a figure
from its first value to another over all pairs of levels that agree in every other factor and in the load, with a
95 % Student interval over the pairs. Interactions are averaged over, and said by the interval's width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import UsageError
from harness.load.verdict import VOID
from harness.results.stats import Interval, paired_interval

AXES = ("gpu_type", "gpu_count", "replicas", "engine_version", "model")
SET = "parameter_set"
ABSENT = "(default)"


@dataclass(frozen=True, slots=True)
class Effect:
    """The change of a figure from ``base`` to ``value`` of a factor. ``relative`` is the ratio less 1.

    ``interval`` is None with a single pair; ``pairs`` says over how many it is.
    """

    factor: str
    base: str
    value: str
    column: str
    relative: float
    interval: Interval | None
    pairs: int

    @property
    def distinguished(self) -> bool:
        """True when the interval excludes no change."""
        return self.interval is not None and self.interval.excludes(0.0)


def flag_values(parameters: str) -> dict[str, str]:
    """Flag to value of an argument list joined by spaces; a flag without a value is ``on``.

    For tables only: lists that put a value into an argument of its own are read too, oddities are not.
    """
    found: dict[str, str] = {}
    flag: str | None = None
    for item in parameters.split():
        if item.startswith("--"):
            name, equals, value = item.partition("=")
            flag = None if equals else name
            found[name] = value if equals else "on"
        elif flag is not None:
            found[flag], flag = item, None
    return found


def factor_frame(levels: pd.DataFrame) -> pd.DataFrame:
    """The factors that vary, one column each, rows as in ``levels``: axes, then flags, or the set where flags cannot
    tell its effect (several flags change together)."""
    axes = levels[[name for name in AXES if levels[name].nunique() > 1]].astype(str)
    flags = pd.DataFrame([flag_values(text) for text in levels["parameters"]], index=levels.index).fillna(
        ABSENT
    )
    flags = flags[[name for name in flags if flags[name].nunique() > 1]]
    if flags.shape[1] > 1 and _linked(flags) and levels[SET].nunique() > 1:
        flags = levels[[SET]].astype(str)
    return pd.concat([axes, flags], axis=1)


def _linked(flags: pd.DataFrame) -> bool:
    """True when no flag ever changes alone: no two rows differ in one flag only."""
    rows = flags.drop_duplicates()
    return not any(rows.duplicated([name for name in rows if name != flag]).any() for flag in rows)


def main_effects(levels: pd.DataFrame, column: str) -> list[Effect]:
    """The effect of every value of every factor on a figure, in the matrix's order. Void levels are left out."""
    believed = levels[(levels["verdict"] != VOID) & (levels[column] > 0)]
    if believed.empty:
        return []
    factors = factor_frame(believed)
    effects = []
    for factor in factors:
        context = factors.drop(columns=[factor]).assign(load=believed["load"])
        table = _by_context(context, factors[factor], believed[column])
        base, *others = list(dict.fromkeys(factors[factor]))
        effects += [found for value in others if (found := _effect(str(factor), base, value, column, table))]
    return effects


def _by_context(context: pd.DataFrame, factor: pd.Series[Any], figure: pd.Series[Any]) -> pd.DataFrame:
    """log(figure) with a row for each context and a column for each value of the factor."""
    keys = context.astype(str).agg("\x1f".join, axis=1)
    frame = pd.DataFrame({"context": keys, "value": factor, "log": np.log(figure)})
    return frame.pivot_table(index="context", columns="value", values="log", aggfunc="mean")


def _effect(factor: str, base: str, value: str, column: str, table: pd.DataFrame) -> Effect | None:
    differences = (table[value] - table[base]).dropna().to_list()
    if not differences:
        return None
    found = paired_interval(differences)
    return Effect(
        factor=factor,
        base=base,
        value=value,
        column=column,
        relative=math.expm1(float(np.mean(differences))),
        interval=None if found is None else Interval(math.expm1(found.low), math.expm1(found.high)),
        pairs=len(differences),
    )


def grid(
    levels: pd.DataFrame, *, rows: str, columns: str, figure: str, lower_is_better: bool = False
) -> pd.DataFrame:
    """The best ``figure`` over loads and all other factors, for each pair of values of two factors.

    UsageError for a factor that does not vary, or a figure the levels do not have.
    """
    believed = levels[levels["verdict"] != VOID]
    factors = factor_frame(believed)
    for name in (rows, columns):
        if name not in factors:
            raise UsageError(
                f"'{name}' does not vary here; what does: {', '.join(map(str, factors)) or 'nothing'}"
            )
    if figure not in believed:
        raise UsageError(f"no figure is called '{figure}'; they are the columns of run.levels")
    frame = pd.DataFrame({"row": factors[rows], "column": factors[columns], "figure": believed[figure]})
    fields = frame.groupby(["row", "column"])["figure"]
    table = (fields.min() if lower_is_better else fields.max()).unstack()
    return table.reindex(index=factors[rows].unique(), columns=factors[columns].unique())


def factor_pairs(effects: Sequence[Effect]) -> list[tuple[str, str]]:
    """Every pair of factors, those with the largest effects first; the larger effect's factor leads its pair."""
    sizes: dict[str, float] = {}
    for effect in effects:
        sizes[effect.factor] = max(sizes.get(effect.factor, 0.0), abs(math.log1p(effect.relative)))
    ranked = sorted(sizes, key=lambda factor: -sizes[factor])
    return sorted(itertools.combinations(ranked, 2), key=lambda pair: -(sizes[pair[0]] + sizes[pair[1]]))
