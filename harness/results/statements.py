"""What a report says in sentences: the answers, what limits them, where everything came from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.load.verdict import SUSPECT, VOID
from harness.results.frame import Run
from harness.results.rivals import rivals, told
from harness.results.spending import Spent
from harness.units import format_duration

OUTPUT = "output_throughput_tok_s"
# A trace's times are no reading.
LONGEST_LIST = 16


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
    yield from _found(run)


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
            f"(prices: {prices.what}, {prices.as_of}){_doubt(best)}."
        )
        yield from told(rivals(run, priced, best, figure="cost_per_mtok"), best, unit=prices.currency)
    yield f"Most requests within the SLO ({run.resolved.slo}): {_named(_top(within, 'request_throughput_req_s'))}."


def _found(run: Run) -> Iterable[str]:
    """The best answer of each search for a rate; with several repeats a cell counts with its worst."""
    rates = run.searches[run.searches["find"] == "rate"]
    for name, found in rates.assign(worst=rates["best"].fillna(0.0)).groupby("search", sort=False):
        cells = found.sort_values("worst").drop_duplicates("cell_id")
        best = cells.iloc[-1]
        which = f"{run.cells['label'][best['cell_id']]}, of {len(cells)} cells searched"
        searched = f" ({name})" if rates["search"].nunique() > 1 else ""
        yield f"Highest rate found within the SLO{searched}: {which}: {best['answer']}."


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
        f"{row['request_throughput_req_s']:.2f} requests/s{note}{_doubt(row)}"
    )


def _doubt(row: pd.Series[Any]) -> str:
    """Why the level is to be doubted; empty when it is not."""
    return f"; suspect: {row['reasons']}" if row["verdict"] == SUSPECT else ""


def warnings(run: Run, levels: pd.DataFrame) -> Iterable[str]:
    """What limits the answers: simulation, an unfinished sweep, deployments not proven gone, void points."""
    account = run.account
    if run.resolved.simulated:
        when = ", in virtual time and without a network" if run.resolved.virtual else ""
        yield f"SIMULATED: these figures come from a model of the hardware, not from hardware{when}."
    if not account.finished:
        reason = f"interrupted by {account.interrupted_by}" if account.interrupted_by else "not finished"
        yield f"The sweep is partial ({reason}); what it measured before that is below."
    if run.resolved.pruned:
        yield (
            f"{len(run.resolved.pruned)} of {len(run.cells)} cells were not measured: their forecast left them out "
            f"({run.resolved.prune}); the reasons stand with the cells."
        )
    left = [entry.run_id for entry in account.runs if entry.deleted is False]
    if left:
        yield f"Not proven deleted, may still cost money: {', '.join(left)}. Run `harness cleanup`."
    if "verdict" in levels and (void := int((levels["verdict"] == "void").sum())):
        yield f"{void} of {len(levels)} measured levels are void and rank nowhere; the reasons are below."
    if "interrupted" in levels and (cut := int(levels["interrupted"].sum())):
        yield f"{cut} of {len(levels)} measured levels were cut short."


def provenance(run: Run) -> Iterable[tuple[str, str]]:
    """Where everything came from, as name and value."""
    resolved, account = run.resolved, run.account
    yield "Sweep", resolved.name
    yield "Started", resolved.started_at + (" (virtual time)" if resolved.virtual else "")
    if account.started_unix is not None and account.ended_unix is not None:
        yield "Took", format_duration(account.ended_unix - account.started_unix)
    yield "Deployed by", resolved.deployer + (" (SIMULATED)" if resolved.simulated else "")
    if resolved.zone:
        yield "Zone", resolved.zone
    yield "Engine versions", ", ".join(dict.fromkeys(cell.engine_version for cell in resolved.cells))
    yield "Models", ", ".join(dict.fromkeys(cell.model for cell in resolved.cells))
    yield (
        "Workload",
        ", ".join(f"{key} {_plain(value)}" for key, value in resolved.workload.items() if value is not None),
    )
    yield (
        "Load levels",
        "; ".join(
            ", ".join(f"{k} {_plain(v)}" for k, v in level.items() if v is not None)
            for level in resolved.load
        ),
    )
    yield "Repeats", str(resolved.repeats)
    yield "Seed", str(resolved.seed)
    if resolved.slo:
        yield "SLO", resolved.slo
    yield "Configuration", f"config.yaml, SHA-256 {resolved.config_sha256 or 'unknown'}"
    yield "Requests", _request_count(run.points)
    scaled = ", as it went here: a simulated cloud hurries its provisioning" if resolved.simulated else ""
    total = account.spent(resolved.prices)
    yield "Deployments took", f"{total.gpu_hours:.3g} GPU-hours{scaled}{_still(total)}"
    if resolved.prices is not None:
        known = (
            "unknown: a price is missing"
            if total.cost is None
            else f"{total.cost:.2f} {resolved.prices.currency}"
        )
        yield "Deployments cost", known
        yield "Prices", f"{resolved.prices.what}, {resolved.prices.currency}, {resolved.prices.as_of}"
    yield "Tool", f"harness {resolved.tool_version}"


def _still(total: Spent) -> str:
    """What is not counted yet, if anything is."""
    runs = ", ".join(paid.run_id for paid in total.open)
    return f", and more while what may still be alive is there ({runs})" if runs else ""


def _request_count(points: pd.DataFrame) -> str:
    if points.empty:
        return "none"
    sent, failed, unfinished = (
        int(points[f"requests_{name}"].sum()) for name in ("sent", "failed", "unfinished")
    )
    return f"{sent:,} sent, {failed:,} failed, {unfinished:,} unfinished at a window's end"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"[{len(value)} values]"
    return str(value)


DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("TTFT", "first token's arrival minus the sending of the request's last byte; connecting is not in it"),
    (
        "TPOT",
        "(last token − first token) / (completion tokens − tokens in the first chunk), one figure a request",
    ),
    ("ITL", "gaps between chunks that carry tokens, pooled over requests"),
    ("E2E", "last token's arrival minus the sending of the request's last byte"),
    ("Output throughput", "output tokens that arrived within the window, divided by its length"),
    ("Request throughput", "requests that finished well within the window, divided by its length"),
    ("Percentiles", "linear interpolation over successful requests; failures count in no latency"),
    (
        "Faint figures",
        "a percentile p of fewer than 10/(1 − p) requests: p95 of under 200, p99 of under 1000",
    ),
    ("Pareto front", "levels that no other level beats on both axes; void levels are never on it"),
)
