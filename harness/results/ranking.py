"""The order of a report: levels by the objective, void ones last."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.results.frame import Run


def ranked_levels(run: Run) -> pd.DataFrame:
    """The levels, best first: void last, within the SLO first, then by cost where known, else by throughput."""
    levels = run.levels
    if levels.empty:
        return levels
    if run.resolved.prices is not None:
        levels = run.cost(run.resolved.prices)
    keys = pd.DataFrame(index=levels.index)
    keys["void"] = levels["verdict"] == "void" if "verdict" in levels else False
    keys["outside"] = ~levels["meets_slo"].astype(bool) if "meets_slo" in levels else False
    keys["cost"] = levels["cost_per_mtok"].fillna(np.inf) if "cost_per_mtok" in levels else 0.0
    keys["slow"] = -levels["output_throughput_tok_s"]
    return levels.loc[keys.sort_values(["void", "outside", "cost", "slow"]).index].reset_index(drop=True)
