"""The options by which a plan or a sweep leaves cells out, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.plan.config import SweepConfig
    from harness.plan.pruning import PruneRule
    from harness.results.prices import PriceTable
    from harness.sweep.forecasts import CellForecast
    from harness.sweep.preflight import Preflight

F = TypeVar("F", bound=Callable[..., object])


def prune_options(command: F) -> F:
    """``--prune`` and ``--no-prune``."""
    command = click.option("--no-prune", is_flag=True, help="Keep every cell, whatever the file says.")(
        command
    )
    return click.option(
        "--prune",
        metavar="RULE",
        help="Leave cells out by their forecast: keep=20%, or within=1.5 of the best predicted cost; "
        "equivalent, those that run the same as another; joined by commas  [the file's own]",
    )(command)


def rule_of(config: SweepConfig, prune: str | None, *, no_prune: bool) -> PruneRule | None:
    """The rule that holds: the call's, else the file's. UsageError for both options at once."""
    from harness.plan.pruning import parse_prune

    if no_prune and prune is not None:
        raise UsageError("--prune and --no-prune exclude each other")
    if no_prune:
        return None
    return config.prune if prune is None else parse_prune(prune)


class Pruner:
    """Leaves cells of a plan out by one rule. Keeps the forecasts, for a plan is made more than once."""

    def __init__(self, config: SweepConfig, rule: PruneRule | None, prices: PriceTable | None) -> None:
        self._config = config
        self._rule = rule
        self._prices = prices
        self.forecasts: dict[str, CellForecast] = {}

    def __call__(self, plan: Preflight) -> Preflight:
        """The plan without the cells that the rule leaves out; the same one without a rule."""
        from harness.load.slo import Slo
        from harness.sweep.equivalence import twins
        from harness.sweep.estimates import price_of
        from harness.sweep.pruning import prune

        if self._rule is None:
            return plan
        self.forecast(plan)
        return prune(
            plan,
            self._rule,
            self.forecasts,
            twins=twins(plan.accepted, self.forecasts, self._config.workload),
            slo=None if self._config.slo is None else Slo.parse(self._config.slo),
            price=price_of(self._prices),
        )

    def forecast(self, plan: Preflight) -> dict[str, CellForecast]:
        """The forecasts of every accepted cell, by cell id."""
        from harness.sweep.forecasts import forecast_cells
        from harness.sweep.preflight import read_model_configs

        new = [cell for cell in plan.accepted if cell.id not in self.forecasts]
        if new:
            self.forecasts |= forecast_cells(self._config, new, read_model_configs(self._config.models))
        return self.forecasts
