"""``harness compare``: two runs, the relative change of each figure with its interval, and bars for CI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import completing
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.results.gates import Bar, Check

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
    "--strict",
    is_flag=True,
    help="Also where a bar is passed inconclusively, or could not be checked at something that A measured.",
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
@click.option(
    "--anyway",
    is_flag=True,
    help="Compare other models or workloads, or simulated figures with measured ones.",
)
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
    anyway: bool,
    as_json: bool,
    junit: Path | None,
) -> None:
    """Compare the runs in A and B: how much each figure changed, and whether that is more than chance.

    What they differ in stands above the figures. Two models or workloads, or simulated figures and measured ones, are
    not compared (exit 2) unless --anyway says so; void points never are.

    With repeats in both, the interval comes from the pairs; else from how each run wandered over its window, which
    knows nothing of what varies between runs and wants windows of 10 mean latencies (20 for p90, 40 for p95, 200 for
    p99). A change whose interval includes 0 is "not distinguished". A bar is missed (exit 1) by a change past it that
    is distinguished from none; with --strict by any change past it, and by a level of A that B has no figure for. A
    bar that could be checked nowhere is an error (exit 2).

    One interval in twenty excludes 0 by chance; with --together only one comparison in twenty has any that does.

    \b
    harness compare results/before results/after --fail-if 'ttft_p99 > +5%'
    harness compare results/demo results/demo --where-a engine-version=0.12.0 --where-b engine-version=0.15.1
    """
    from harness.cli.compare_text import as_json_text, junit_text, table
    from harness.results.comparable import differences, refusal, said
    from harness.results.compare import METRICS, compare
    from harness.results.files import write_text
    from harness.results.frame import load
    from harness.results.gates import Bar, checks, unchecked
    from harness.results.matching import pair_up

    wanted = [Bar.parse(text) for text in dict.fromkeys(bars)]
    named = METRICS if everything else [*(metrics or HEADLINE), *(bar.metric for bar in wanted)]
    run_a, run_b = load(a), load(b)
    pairing = pair_up(
        run_a, run_b, where_a=_pairs(where_a, "--where-a"), where_b=_pairs(where_b, "--where-b")
    )
    found = differences(run_a, run_b, pairing)
    if not anyway:
        refusal(found, override="--anyway")
    changes = compare(pairing.subjects, metrics=list(dict.fromkeys(named)), together=together)
    simulated = run_a.resolved.simulated or run_b.resolved.simulated
    judged = checks(wanted, changes, pairing)
    failed = [check for check in judged if _fails(check, strict=strict)]
    if junit is not None:
        write_text(junit, junit_text(judged, failed, unchecked(wanted, judged)))
    if as_json:
        click.echo(as_json_text(changes, judged, found, pairing.left_out, simulated=simulated), nl=False)
    else:
        click.echo(table(changes, above=said(found, pairing.left_out), simulated=simulated))
        click.echo("".join(f"{check}\n" for check in judged), nl=False)
    _tell_what_passes(judged, strict=strict)
    _refuse_unchecked(unchecked(wanted, judged), judged)
    ctx.exit(1 if failed else 0)


def _fails(check: Check, *, strict: bool) -> bool:
    from harness.results.gates import BarOutcome

    return check.outcome is BarOutcome.MISSED or (strict and check.outcome is not BarOutcome.HELD)


def _tell_what_passes(judged: Sequence[Check], *, strict: bool) -> None:
    """On stderr, what ends well without having been shown to be well."""
    from harness.results.gates import BarOutcome

    outcomes = [check.outcome for check in judged]
    counts = {kind: outcomes.count(kind) for kind in (BarOutcome.INCONCLUSIVE, BarOutcome.NOT_CHECKED)}
    told = [f"{count} {kind.value}" for kind, count in counts.items() if count]
    if told and not strict:
        click.echo(f"of {len(judged)} checks {' and '.join(told)}: not failed without --strict", err=True)


def _refuse_unchecked(bars: Sequence[Bar], judged: Sequence[Check]) -> None:
    """UsageError for a bar that would pass without ever having been held against anything."""
    if not bars:
        return
    reasons = dict.fromkeys(check.detail for check in judged if check.bar == bars[0])
    raise UsageError(f"the bar '{bars[0]}' could be checked nowhere: {'; '.join(list(reasons)[:4])}")


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} takes KEY=VALUE, not '{text}'")
        found[key] = value
    return found
