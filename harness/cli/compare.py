"""``harness compare``: two runs, the relative change of each figure with its interval, and bars for CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completing
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.results.compare import Bar, Change

HEADLINE = (
    "ttft_p50", "ttft_p95", "ttft_p99", "tpot_p50", "tpot_p95", "itl_p99", "e2e_p95", "output_throughput",
    "request_throughput", "goodput",
)  # fmt: skip


@click.command("compare")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--fail-if",
    "bars",
    multiple=True,
    metavar="BAR",
    shell_complete=completing.metrics,
    help="End with 1 past this bar: 'ttft_p99 > +5%'.",
)
@click.option(
    "--strict", is_flag=True, help="Also past a bar when the change is not distinguished from none."
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.metrics,
    help="Only this metric; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Every metric, not only the usual ten.")
@click.option("--together", is_flag=True, help="Widen the intervals so that all hold at once (Bonferroni).")
@click.option(
    "--where-a", multiple=True, metavar="KEY=VALUE", help="Only these cells of A: engine-version=0.12.0."
)
@click.option("--where-b", multiple=True, metavar="KEY=VALUE", help="Only these cells of B.")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write the bars as a JUnit file."
)
@click.pass_context
def command(
    ctx: click.Context,
    a: Path,
    b: Path,
    bars: Sequence[str],
    strict: bool,
    metrics: Sequence[str],
    everything: bool,
    together: bool,
    where_a: Sequence[str],
    where_b: Sequence[str],
    as_json: bool,
    junit: Path | None,
) -> None:
    """Compare the runs in A and B: how much each figure changed, and whether that is more than chance.

    With repeats in both, the interval comes from the pairs; else from how each run wandered over its window, which
    knows nothing of what varies between runs and wants windows of 10 mean latencies (20 for p90, 40 for p95, 200 for
    p99). A change whose interval includes 0 is "not distinguished". A bar is missed (exit 1) by a change past it that
    is distinguished from none; with --strict by any change past it.

    One interval in twenty excludes 0 by chance; with --together only one comparison in twenty has any that does.

    \b
    harness compare results/before results/after --fail-if 'ttft_p99 > +5%'
    harness compare results/demo results/demo --where-a engine-version=0.12.0 --where-b engine-version=0.15.1
    """
    from harness.results.compare import METRICS, Bar, BarOutcome, judge
    from harness.results.frame import load
    from harness.results.matching import changes_between

    wanted = [Bar.parse(text) for text in bars]
    named = METRICS if everything else [*(metrics or HEADLINE), *(bar.metric for bar in wanted)]
    run_a, run_b = load(a), load(b)
    changes = changes_between(
        run_a,
        run_b,
        where_a=_pairs(where_a, "--where-a"),
        where_b=_pairs(where_b, "--where-b"),
        metrics=list(dict.fromkeys(named)),
        together=together,
    )
    simulated = run_a.resolved.simulated or run_b.resolved.simulated
    judged = [
        (change, bar, judge(change, bar))
        for bar in wanted
        for change in changes
        if change.metric == bar.metric
    ]
    bad = (BarOutcome.MISSED, BarOutcome.INCONCLUSIVE) if strict else (BarOutcome.MISSED,)
    failed = [(change, bar) for change, bar, outcome in judged if outcome in bad]
    if junit is not None:
        from harness.results.files import write_text

        write_text(junit, junit_text([(change, bar, (change, bar) in failed) for change, bar, _ in judged]))
    if as_json:
        click.echo(_json(changes, judged, simulated=simulated), nl=False)
    else:
        click.echo(table(changes, simulated=simulated))
        for change, bar, outcome in judged:
            click.echo(
                f"{outcome.value}: {bar} · {change.subject} · {change.load} ({change.relative * 100:+.1f} %)"
            )
    unmeasured = [bar for bar in wanted if not any(bar is other for _, other, _ in judged)]
    if unmeasured:
        raise UsageError(f"no point has the metric of the bar '{unmeasured[0]}' on both sides")
    ctx.exit(1 if failed else 0)


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} takes KEY=VALUE, not '{text}'")
        found[key] = value
    return found


def table(changes: Sequence[Change], *, simulated: bool) -> str:
    """The changes as aligned text, one subject and load after another."""
    from harness.results.compare import multiplicity

    heads = ("metric", "A", "B", "change", f"{_level(changes) * 100:.4g} % interval", "")
    rows: list[tuple[str, ...]] = []
    title: tuple[str, str] | None = None
    lines = ["SIMULATED: at least one of the two runs is" if simulated else ""]
    widths = [20, 10, 10, 9, 20]
    for change in changes:
        if (change.subject, change.load) != title:
            title = (change.subject, change.load)
            lines += ["", f"{change.subject} · {change.load} ({change.method})", _row(heads, widths)]
        ends = change.interval
        interval = "–" if ends is None else f"{ends.low * 100:+.1f} to {ends.high * 100:+.1f} %"
        values = [_value(change.metric, figure) for figure in (change.a, change.b)]
        rows.append(
            (change.metric, *values, f"{change.relative * 100:+.1f} %", interval, change.verdict.value)
        )
        lines.append(_row(rows[-1], widths))
    lines += ["", multiplicity(changes)]
    return "\n".join(lines).strip("\n")


def _level(changes: Sequence[Change]) -> float:
    """The level of the intervals, one for all of them."""
    return max((change.level for change in changes if change.interval is not None), default=0.95)


def _row(fields: Sequence[str], widths: Sequence[int]) -> str:
    shown = [fields[0].ljust(widths[0])]
    shown += [field.rjust(width) for field, width in zip(fields[1:], widths[1:], strict=False)]
    return "  " + " ".join(shown) + "  " + fields[-1]


def _value(metric: str, figure: float) -> str:
    if metric in ("output_throughput", "request_throughput", "goodput"):
        return f"{figure:,.2f}/s"
    return f"{figure * 1000:,.1f} ms"


def _json(changes: Sequence[Change], judged: Sequence[tuple[Change, Bar, Any]], *, simulated: bool) -> str:
    from harness.results.files import plain_json

    document = {
        "schema_version": 1,
        "simulated": simulated,
        "intervals": sum(change.interval is not None for change in changes),
        "level": _level(changes),
        "changes": [_change_json(change) for change in changes],
        "bars": [
            {"bar": str(bar), "subject": change.subject, "load": change.load, "outcome": outcome.value}
            for change, bar, outcome in judged
        ],
    }
    return plain_json(document, indent=2) + "\n"


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "subject": change.subject,
        "load": change.load,
        "metric": change.metric,
        "a": change.a,
        "b": change.b,
        "relative": change.relative,
        "interval": None if change.interval is None else [change.interval.low, change.interval.high],
        "method": change.method,
        "verdict": change.verdict.value,
    }


def junit_text(judged: Sequence[tuple[Change, Bar, bool]]) -> str:
    """One test case per bar and subject, as JUnit XML; the third item says whether it failed."""
    from xml.sax.saxutils import escape, quoteattr

    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    failures = sum(failed for *_, failed in judged)
    lines.append(f'<testsuite name="harness compare" tests="{len(judged)}" failures="{failures}">')
    for change, bar, failed in judged:
        name = quoteattr(f"{bar} at {change.load}")
        lines.append(f"  <testcase classname={quoteattr(change.subject)} name={name}>")
        if failed:
            text = f"{change.metric} changed by {change.relative * 100:+.1f} % ({change.verdict.value})"
            lines.append(f"    <failure message={quoteattr(text)}>{escape(text)}</failure>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>", ""])
