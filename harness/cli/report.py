"""``harness report``: rebuild the reports of a run from what it stored."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--md", "form", flag_value="md", help="Print the Markdown report; write nothing.")
@click.option("--html", "form", flag_value="html", help="Print the HTML report; write nothing.")
@click.option("--json", "form", flag_value="json", help="Print the summary as JSON; write nothing.")
@click.option("--openmetrics", "form", flag_value="openmetrics", help="Print the levels as OpenMetrics text.")
@click.option(
    "--vllm-bench",
    "vllm",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Write vLLM's results to OUT.",
)
@click.option("--csv", "form", flag_value="csv", help="Print the measured points as CSV; write nothing.")
def command(folder: Path, form: str | None, vllm: Path | None) -> None:
    """Rebuild every report of the run in DIR from its stored records.

    Writes report.html (one offline page), report.md, summary.json, points.csv, cells.csv and plots/ into DIR, from
    the records, the journal and resolved.json alone. A run that was interrupted is reported as far as it went.

    \b
    harness report results/demo
    harness report results/demo --md | less
    harness report results/demo --vllm-bench out && vllm bench sweep plot_pareto out
    """
    from harness.results.files import plain_json
    from harness.results.report import build_reports, write_reports, write_vllm_results
    from harness.results.store import RunFolder

    opened = RunFolder.open(folder)
    if vllm is not None:
        click.echo("\n".join(str(path) for path in write_vllm_results(opened, vllm)))
        return
    if form == "openmetrics":
        from harness.results.export import openmetrics
        from harness.results.frame import Run

        run = Run(opened)
        click.echo(
            openmetrics(run.levels, name=run.resolved.name, simulated=run.resolved.simulated), nl=False
        )
        return
    if form is None:
        paths = write_reports(opened)
        click.echo("\n".join(str(path) for path in paths))
        return
    reports = build_reports(opened)
    text = {
        "md": lambda: reports.markdown,
        "html": lambda: reports.html,
        "csv": lambda: reports.points_csv,
        "json": lambda: plain_json(reports.summary, indent=2) + "\n",
    }[form]()
    click.echo(text, nl=False)
