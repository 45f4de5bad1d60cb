"""What ``harness compare`` prints and writes: a table, JSON, JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.results.comparable import Difference
    from harness.results.compare import Change
    from harness.results.gates import Bar, Check
    from harness.results.matching import LeftOut

METHODS = {"none": "the windows are too short for intervals"}


def table(changes: Sequence[Change], *, above: Sequence[str], simulated: bool) -> str:
    """The changes as aligned text, one subject and load after another, under what is to be said ``above``."""
    from harness.results.compare import multiplicity

    heads = ("metric", "A", "B", "change", f"{_level(changes) * 100:.4g} % interval", "")
    rows: list[tuple[str, ...]] = []
    title: tuple[str, str] | None = None
    lines = [*(["SIMULATED: at least one of the two runs is"] if simulated else []), *above]
    widths = [20, 10, 10, 9, 20]
    for change in changes:
        if (change.subject, change.load) != title:
            title = (change.subject, change.load)
            lines += [
                "",
                f"{change.subject} · {change.load} ({METHODS.get(change.method, change.method)})",
                _row(heads, widths),
            ]
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


def as_json_text(
    changes: Sequence[Change],
    judged: Sequence[Check],
    found: Sequence[Difference],
    left_out: Sequence[LeftOut],
    *,
    simulated: bool,
) -> str:
    """All of it as one JSON document."""
    from harness.results.files import plain_json

    document = {
        "schema_version": 1,
        "simulated": simulated,
        "intervals": sum(change.interval is not None for change in changes),
        "level": _level(changes),
        "differences": [{"what": one.what, "a": one.a, "b": one.b, "kind": one.kind.value} for one in found],
        "not_compared": [{"subject": one.name, "load": one.load, "reason": one.reason} for one in left_out],
        "changes": [_change_json(change) for change in changes],
        "bars": [
            {
                "bar": str(check.bar),
                "subject": check.subject,
                "load": check.load,
                "outcome": check.outcome.value,
                "detail": check.detail,
            }
            for check in judged
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


def junit_text(judged: Sequence[Check], failed: Sequence[Check], nowhere: Sequence[Bar]) -> str:
    """One test case per bar and subject as JUnit XML: what did not fail and did not hold either is skipped, and all of
    a bar that could be checked ``nowhere`` is an error."""
    from xml.sax.saxutils import quoteattr

    from harness.results.gates import BarOutcome

    lines, counts = [], dict.fromkeys(("failure", "error", "skipped"), 0)
    for check in judged:
        name = quoteattr(f"{check.bar} at {check.load or 'every level'}")
        lines.append(f"  <testcase classname={quoteattr(check.subject)} name={name}>")
        if check.outcome is not BarOutcome.HELD:
            kind = "error" if check.bar in nowhere else "failure" if check in failed else "skipped"
            counts[kind] += 1
            text = f"{check.bar.metric}: {check.outcome.value}, {check.detail}"
            lines.append(f"    <{kind} message={quoteattr(text)}/>")
        lines.append("  </testcase>")
    totals = f'failures="{counts["failure"]}" errors="{counts["error"]}" skipped="{counts["skipped"]}"'
    head = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<testsuite name="harness compare" tests="{len(judged)}" {totals}>',
    ]
    return "\n".join([*head, *lines, "</testsuite>", ""])
