"""A load test from the command line: the options made a session, the session run, its figures shown."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from harness.cli.load_options import key_from, prompts_from, stages_from, workload_from
from harness.cli.load_session import Session, levels_for
from harness.cli.loading import definitions_of, report_json, table_of
from harness.errors import HarnessError
from harness.load.cluster import open_crew
from harness.load.levels import Course, Finding
from harness.load.records import Endpoint
from harness.load.slo import Slo
from harness.load.target import normal_url
from harness.results.files import plain_json, write_json
from harness.units import counted

SIMULATED = "SIMULATED: the endpoint says that it is a model of an engine; these figures are of no hardware."


class LoadInterrupted(HarnessError):
    """Ctrl-C during a load test; what was measured until then is printed."""


def run_load(url: str, options: dict[str, Any]) -> int:
    """Measures what the options ask for and shows it; the exit code."""
    slo = Slo.parse(options["slo_text"]) if options["slo_text"] else None
    prompts = prompts_from(options)
    workload = workload_from(options, prompts)
    stages = stages_from(options, prompts)
    endpoint = Endpoint(
        normal_url(url), options["model"], key_from(options["api_key_env"]), options["ca_file"]
    )
    course = Course(
        levels_for(
            options["find"],
            stages,
            slo,
            early_stop=options["early_stop"],
            most_steps=options["find_steps"],
        )
    )
    session = Session(
        endpoint,
        workload,
        seed=options["seed"],
        processes=options["processes"],
        records_path=options["records_path"],
        slo=slo,
    )
    try:
        asyncio.run(run_on(options["executor"], session, course, of=None if options["find"] else len(stages)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        session.interrupted = True
    if session.measured:
        show(
            session,
            json_path=options["json_path"],
            finding=course.finding(),
            definitions=options["definitions"],
        )
    if session.interrupted:
        count = len(session.measured) - session.has_partial
        whole = counted(count, "stage") if options["find"] else f"{count} of {len(stages)} stages"
        cut = " and a part of the next, which is marked" if session.has_partial else ""
        raise LoadInterrupted(f"interrupted after {whole}{cut}")
    kept = [each.metrics.slo_met is not False and each.metrics.succeeded > 0 for each in session.measured]
    return 0 if (any(kept) if options["find"] else all(kept)) else 1


async def run_on(executor: str | None, session: Session, course: Course, *, of: int | None) -> None:
    """Run the session with the processes of this machine, or of a cluster; Ctrl-C is the session's."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    loop.add_signal_handler(signal.SIGINT, session.interrupt, task)
    try:
        async with open_crew(executor) as session.crew:
            await session.run(course, of=of)
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def show(session: Session, *, json_path: str | None, finding: Finding | None, definitions: bool) -> None:
    """A search's answer and the table, or the JSON in their place when that goes to stdout."""
    document = report_json(session.measured, url=session.endpoint.url, model=session.model, slo=session.slo)
    document["simulated"] = session.simulated
    document["skipped"] = [{"load": stage.to_json(), "reason": why} for stage, why in session.skipped]
    if finding is not None:
        document |= {"answer": finding.answer, "finding": finding.to_json()}
    if json_path == "-":
        click.echo(plain_json(document))
        return
    if json_path is not None:
        write_json(Path(json_path), document)
    if session.simulated:
        click.echo(SIMULATED)
    if finding is not None:
        click.echo(f"{finding.answer}\n")
    click.echo(table_of(session.measured, slo=session.slo))
    if definitions:
        click.echo(definitions_of(session.measured))
    for stage, why in session.skipped:
        click.echo(f"{stage.label}: skipped: {why}")
