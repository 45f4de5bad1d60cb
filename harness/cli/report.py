"""``harness report``: rebuild the reports of a run from what it stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.units import counted

if TYPE_CHECKING:
    from harness.results.report import Reports
    from harness.results.store import RunFolder

OUT = click.Path(path_type=Path, file_okay=False)


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--md", "form", flag_value="md", help="Print the Markdown report; write nothing.")
@click.option("--html", "form", flag_value="html", help="Print the HTML report; write nothing.")
@click.option("--json", "form", flag_value="json", help="Print the summary as JSON; write nothing.")
@click.option("--openmetrics", "form", flag_value="openmetrics", help="Print the levels as OpenMetrics text.")
@click.option("--csv", "form", flag_value="csv", help="Print the measured points as CSV; write nothing.")
@click.option(
    "--partial", is_flag=True, help="Where records are lost: replace the earlier report by one of the rest."
)
@click.option(
    "--vllm-bench", metavar="OUT", type=OUT, help="Write each cell as vllm bench's results below OUT."
)
@click.option("--guidellm", metavar="OUT", type=OUT, help="Write each cell as a guidellm report below OUT.")
@click.option("--llm-d", metavar="OUT", type=OUT, help="Write each point as an llm-d report (0.2) below OUT.")
@click.pass_context
def command(
    ctx: click.Context, /, folder: Path, form: str | None, *, partial: bool, **targets: Path | None
) -> None:
    """Rebuild every report of the run in DIR from its stored records.

    Writes report.html (one offline page), report.md, summary.json, points.csv, cells.csv, calibration.json and
    plots/ into DIR, from the records, the journal and resolved.json alone. A run that was interrupted is reported as
    far as it went. Records that were measured and are missing or damaged are named, with exit code 1; a report that
    is there already then stays, unless --partial.

    \b
    harness report results/demo
    harness report results/demo --md | less
    harness report results/demo --vllm-bench out && vllm bench sweep plot_pareto out
    harness report results/demo --guidellm out && guidellm export out/CELL --output kind=html

    Each figure in another tool's file is under that tool's definition; llm-d's form takes any tool's, and has ours.
    """
    from harness.results.report import build_reports, write_reports
    from harness.results.store import RunFolder

    opened = RunFolder.open(folder)
    if any(targets.values()):
        _export(opened, targets)
        return
    if form == "openmetrics":
        from harness.results.exchange.openmetrics import openmetrics
        from harness.results.frame import Run

        run = Run(opened)
        click.echo(
            openmetrics(run.levels, name=run.resolved.name, simulated=run.resolved.simulated), nl=False
        )
        return
    reports = build_reports(opened)
    for name, reason in reports.lost.items():
        click.echo(f"lost records: {name}: {reason}", err=True)
    if form is not None:
        click.echo(_text(reports, form), nl=False)
    elif reports.lost and not partial and (folder / "report.html").exists():
        click.echo(
            f"{folder / 'report.html'} stays as it is: {counted(len(reports.lost), 'measured point')} would be missing "
            "from a new one; --partial writes that",
            err=True,
        )
    else:
        click.echo("\n".join(str(path) for path in write_reports(opened, reports)))
    ctx.exit(1 if reports.lost else 0)


def _text(reports: Reports, form: str) -> str:
    """One of the reports, as it is printed."""
    from harness.results.files import plain_json

    if form == "json":
        return plain_json(reports.summary, indent=2) + "\n"
    return {"md": reports.markdown, "html": reports.html, "csv": reports.points_csv}[form]


def _export(folder: RunFolder, targets: Mapping[str, Path | None]) -> None:
    """Write the run in each form that has a target, and print the paths."""
    from harness.results.exchange.writing import WRITERS

    for name, target in targets.items():
        if target is not None:
            click.echo("\n".join(str(path) for path in WRITERS[name.replace("_", "-")](folder, target)))
