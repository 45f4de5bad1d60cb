"""The options by which a plan or a sweep leaves cells out, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.forecast.calibration import Calibrations
    from harness.plan.cells import Cell
    from harness.plan.config import SweepConfig
    from harness.plan.pruning import PruneRule
    from harness.results.prices import PriceTable
    from harness.sweep.equivalence import Twin
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
        help="Leave cells out by their forecast: keep=20%, or within=1.5 of the best predicted cost (none for a doubt "
        "of the SLO alone); "
        "equivalent, those that run the same as another; joined by commas  [the file's own]",
    )(command)


def said(prune: str | None, *, no_prune: bool) -> str | None:
    """What the options say: a rule, empty for none, or None where the file's holds. UsageError for both at once."""
    if no_prune and prune is not None:
        raise UsageError("--prune and --no-prune exclude each other")
    return "" if no_prune else prune


def rule_of(config: SweepConfig, prune: str | None) -> PruneRule | None:
    """The rule that holds: what was ``said``, else the file's."""
    from harness.plan.pruning import parse_prune

    if prune is None:
        return config.prune
    return parse_prune(prune) if prune else None


class Pruner:
    """Leaves cells of a plan out by one rule. Keeps the forecasts, for a plan is made more than once."""

    def __init__(
        self,
        config: SweepConfig,
        rule: PruneRule | None,
        prices: PriceTable | None,
        calibrations: Calibrations,
    ) -> None:
        self._config = config
        self._calibrations = calibrations
        self._rule = rule
        self._prices = prices
        self.forecasts: dict[str, CellForecast] = {}
        self._at_steps: dict[str, CellForecast] = {}

    def __call__(self, plan: Preflight) -> Preflight:
        """The plan without the cells that the rule leaves out; the same one without a rule."""
        from harness.load.slo import Slo
        from harness.sweep.estimates import price_of
        from harness.sweep.forecasts import has_searches
        from harness.sweep.pruning import prune

        if self._rule is None:
            return plan
        return prune(
            plan,
            self._rule,
            self.searched(plan) if has_searches(self._config) else self.forecast(plan),
            twins=self.alike(plan),
            slo=None if self._config.slo is None else Slo.parse(self._config.slo),
            price=price_of(self._prices),
        )

    def alike(self, plan: Preflight) -> list[Twin]:
        """Accepted cells that would run the same as an earlier one; none where a load is not known beforehand."""
        from harness.sweep.equivalence import twins
        from harness.sweep.forecasts import has_searches, left_out

        if left_out(self._config) or has_searches(self._config):
            return []
        return twins(plan.accepted, self.forecast(plan), self._config.workload)

    def forecast(self, plan: Preflight) -> dict[str, CellForecast]:
        """The forecasts of every accepted cell, by cell id."""
        new = [cell for cell in plan.accepted if cell.id not in self.forecasts]
        if new:
            self.forecasts |= self._forecast(self._config, new)
        return self.forecasts

    def searched(self, plan: Preflight) -> dict[str, CellForecast]:
        """The forecasts at every load that a search may come to: its first tells cells apart badly."""
        from harness.sweep.forecasts import searched

        new = [cell for cell in plan.accepted if cell.id not in self._at_steps]
        if new:
            self._at_steps |= self._forecast(searched(self._config), new)
        return self._at_steps

    def _forecast(self, config: SweepConfig, cells: Sequence[Cell]) -> dict[str, CellForecast]:
        from harness.sweep.forecasts import forecast_cells
        from harness.sweep.preflight import read_model_configs

        return forecast_cells(config, cells, read_model_configs(config.models), self._calibrations)
