"""What a report says in sentences: the answers, what limits them, what the figures mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from harness.load.slo import Slo
from harness.load.summary import samples_for
from harness.load.verdict import SUSPECT, VOID
from harness.results.frame import Run
from harness.results.rivals import rivals, told
from harness.results.searching import search_answers
from harness.units import counted, first_few

OUTPUT, REQUESTS = "output_throughput_tok_s", "steady_request_throughput_req_s"


def answers(run: Run, levels: pd.DataFrame) -> Iterable[str]:
    """What to take, by cost within the SLO where both are known, then by requests and by throughput."""
    believed = levels[levels["verdict"] != VOID] if "verdict" in levels else levels
    if levels.empty:
        yield "No answer: nothing was measured."
        return
    if believed.empty:
        yield "No answer: every measured point is void."
        return
    if "meets_slo" in believed:
        yield from _within(run, believed[believed["meets_slo"].astype(bool)])
    yield f"Highest output throughput: {_named(_top(believed, OUTPUT))}."
    yield from search_answers(run)


def _within(run: Run, within: pd.DataFrame) -> Iterable[str]:
    """The cheapest and the one with most requests among levels within the SLO."""
    if within.empty:
        yield f"No measured point meets the SLO ({run.resolved.slo})."
        return
    priced = within.dropna(subset=["cost_per_mtok"]) if "cost_per_mtok" in within else within.head(0)
    if not priced.empty and run.resolved.prices is not None:
        best, prices = priced.iloc[int(priced["cost_per_mtok"].argmin())], run.resolved.prices
        yield (
            f"Cheapest within the SLO ({run.resolved.slo}): {best['label']} at {best['load']}, "
            f"{best['cost_per_mtok']:.2f} {prices.currency} per 1M output tokens "
            f"(prices: {prices.what}, {prices.as_of}){_doubt(best)}{_thin(run, best)}."
        )
        yield from told(rivals(run, priced, best, figure="cost_per_mtok"), best, unit=prices.currency)
    most = _top(within, REQUESTS)
    yield f"Most requests within the SLO ({run.resolved.slo}): {_named(most)}{_thin(run, most)}."


def _top(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    return frame.iloc[int(frame[column].fillna(-np.inf).argmax())]


def _named(row: pd.Series[Any]) -> str:
    latencies = [
        f"{name.upper()} p95 {row[f'{name}_p95_s'] * 1000:.0f} ms"
        for name in ("ttft", "tpot")
        if np.isfinite(row.get(f"{name}_p95_s", np.nan))
    ]
    note = f" ({', '.join(latencies)})" if latencies else ""
    return (
        f"{row['label']} at {row['load']}: {row['output_throughput_tok_s']:,.0f} tokens/s, "
        f"{row[REQUESTS]:.2f} requests/s{note}{_doubt(row)}"
    )


def _doubt(row: pd.Series[Any]) -> str:
    """Why the level is to be doubted; empty when it is not."""
    return f"; suspect: {row['reasons']}" if row["verdict"] == SUSPECT else ""


def _thin(run: Run, row: pd.Series[Any]) -> str:
    """Which percentiles of the SLO rest on too few values, ``10 / (1 - p)`` being enough; empty when none does."""
    bounds = Slo.parse(str(run.resolved.slo)).bounds
    wanted = {bound: samples_for(bound.percentile) for bound in bounds}
    thin = [
        f"{bound.metric}_p{bound.percentile:g} on {row[f'{bound.metric}_count']:.0f} of {enough}"
        for bound, enough in wanted.items()
        if row[f"{bound.metric}_count"] < enough
    ]
    return f"; it rests on fewer requests than it should: {', '.join(thin)}" if thin else ""


def warnings(run: Run, levels: pd.DataFrame) -> Iterable[str]:
    """What limits the answers: simulation, an unfinished sweep, deployments not proven gone, void points."""
    account = run.account
    if run.resolved.simulated:
        when = ", in virtual time and without a network" if run.resolved.virtual else ""
        yield f"SIMULATED: these figures come from a model of the hardware, not from hardware{when}."
    if not account.finished:
        reason = f"interrupted by {account.interrupted_by}" if account.interrupted_by else "not finished"
        yield f"The sweep is partial ({reason}); what it measured before that is below."
    if run.lost:
        measured = len(run.lost) + len(run.points)
        yield (
            f"Not here, their records lost: {len(run.lost)} of {counted(measured, 'measured point')} "
            f"({first_few(list(run.lost))})."
        )
    if run.resolved.pruned:
        yield (
            f"{len(run.resolved.pruned)} of {len(run.cells)} cells were not measured: their forecast left them out "
            f"({run.resolved.prune}); the reasons stand with the cells."
        )
    left = [entry.run_id for entry in account.runs if entry.deleted is False]
    if left:
        yield f"Not proven deleted, may still cost money: {', '.join(left)}. Run `harness cleanup`."
    if "verdict" in levels and (void := int((levels["verdict"] == "void").sum())):
        yield f"Void, ranking nowhere: {void} of {counted(len(levels), 'measured level')}; the reasons are below."
    if "interrupted" in levels and (cut := int(levels["interrupted"].sum())):
        yield f"Cut short: {cut} of {counted(len(levels), 'measured level')}."


DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("TTFT", "first token's arrival minus the sending of the request's last byte; connecting is not in it"),
    (
        "TPOT",
        "(last token − first token) / (completion tokens − tokens in the first chunk), one figure a request",
    ),
    ("ITL", "gaps between chunks that carry tokens, pooled over requests"),
    ("E2E", "last token's arrival minus the sending of the request's last byte"),
    ("Output throughput", "output tokens that arrived within the window, divided by its length"),
    (
        "Requests/s",
        "requests in the window, each counted for the share of its tokens that arrived in it, divided by its length "
        "(request_throughput_req_s in points.csv counts whole requests where they end)",
    ),
    ("Percentiles", "linear interpolation over successful requests; failures count in no latency"),
    (
        "Faint figures, hollow marks",
        "a percentile p of fewer than 10/(1 − p) requests: p95 of under 200, p99 of under 1000",
    ),
    ("Pareto front", "levels that no other level beats on both axes; void levels are never on it"),
)
