"""``harness migrate``: what of a file breaks on another engine version, and what replaces it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

import click

from harness.cli.completing import engine_versions
from harness.diagnostics import Diagnostic, Severity
from harness.errors import UsageError
from harness.units import counted

if TYPE_CHECKING:
    from harness.params.changes import Change
    from harness.params.lint import Knowledge
    from harness.plan.lint import Judge
    from harness.plan.report import FileReport, LintReport
    from harness.plan.spans import Source


@dataclass(frozen=True, slots=True)
class Move:
    """What moving a file's lists to another version comes to; where ``report`` is not usable, only that counts.

    ``present`` are the known versions that lists run on now. ``unsaid`` counts the lists whose version nobody says,
    ``strange`` are versions that nothing is known of: all that the new version objects to in such lists is reported.
    ``errors_today`` counts what the new version refuses too, but the present one refuses already.
    """

    report: FileReport
    lists: int = 0
    present: tuple[str, ...] = ()
    unsaid: int = 0
    strange: tuple[str, ...] = ()
    errors_today: int = 0


@click.command(name="migrate")
@click.argument("file", type=click.Path())
@click.option(
    "--to",
    "version",
    metavar="V",
    required=True,
    shell_complete=engine_versions,
    help="The vLLM version to move to.",
)
@click.option(
    "--from",
    "old",
    metavar="V",
    shell_complete=engine_versions,
    help="The version it runs on now, whatever FILE says.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
def command(file: str, version: str, old: str | None, as_json: bool) -> int:
    """Say what breaks in FILE on vLLM version V, and what replaces it.

    Only what differs from today is shown: findings that FILE has on its present version already are left to `harness
    lint`. The present version is the one FILE names (engine-version, an image's tag) or --from; where nobody says
    it, everything that V objects to is shown. Mistakes that are safe to mend can be mended with
    `harness lint --engine-version V --fix FILE`.

    \b
    harness migrate configs/demo.yaml --to 0.15.1

    Exit codes: 0 nothing breaks, 1 something does, 2 the file cannot be used.
    """
    from harness.cli.params import knowledge
    from harness.plan.report import LintReport

    target = knowledge(version)
    moves = moves_of(file, target, None if old is None else knowledge(old))
    if not moves:
        raise UsageError(f"no engine parameters below {file!r}")
    report = LintReport(tuple(move.report for move in moves))
    if report.exit_code() == 2:
        _render(report, as_json=as_json)
        return 2
    present = dict.fromkeys(found for move in moves for found in move.present)
    defaults = {found: changed_defaults(found, target) for found in present}
    if as_json:
        _show_json(report, moves, defaults)
    else:
        _show(report, moves, defaults, version=target.help.version)
    return report.exit_code()


def moves_of(path: str, target: Knowledge, old: Knowledge | None) -> list[Move]:
    """The move of each file behind a path; ConfigError when one cannot be read."""
    from harness.cli.lint import fetched_help
    from harness.plan.files import discover
    from harness.plan.lint import Judge, LintOptions, is_wanted
    from harness.plan.source import read_source

    version = None if old is None else old.help.version
    before = Judge(LintOptions(engine_version=version, help_of=fetched_help))
    after = Judge(LintOptions(engine_version=target.help.version, help_of=lambda _: target.help))
    moves = []
    for candidate in discover([path]):
        move = _move(read_source(candidate.path), before, after)
        if is_wanted(candidate, move.report, after.options):
            moves.append(move)
    return moves


def _move(source: Source, before: Judge, after: Judge) -> Move:
    from harness.cli.engine_versions import at_hand
    from harness.params.versions import spelled_out
    from harness.plan.detect import find_targets
    from harness.plan.findings import Findings
    from harness.plan.lint import lint_source, lint_targets

    report = lint_source(source, after)
    if not report.is_usable:
        return Move(report)
    findings = Findings(source)
    targets = find_targets(source, findings) or ()
    known = at_hand()
    named = [(target, before.options.engine_version or target.engine_version) for target in targets]
    said = [(target, version and spelled_out(version, known)) for target, version in named]
    today = lint_targets(source, [target for target, version in said if version in known], before, findings)
    new = _only_new(report, today)
    errors = [sum(one.is_error for one in found.diagnostics) for found in (report, new)]
    return Move(
        new,
        lists=len(targets),
        present=tuple(dict.fromkeys(version for _, version in said if version in known and version)),
        unsaid=sum(version is None for _, version in said),
        strange=tuple(dict.fromkeys(version for _, version in said if version and version not in known)),
        errors_today=errors[0] - errors[1],
    )


def _only_new(after: FileReport, before: FileReport) -> FileReport:
    """The errors and warnings of ``after`` at places where ``before`` does not have them too."""
    known = {_identity(finding.diagnostic) for finding in before.findings}
    findings = tuple(
        finding
        for finding in after.findings
        if finding.diagnostic.severity is not Severity.INFO and _identity(finding.diagnostic) not in known
    )
    return replace(after, findings=findings)


def _identity(diagnostic: Diagnostic) -> tuple[object, ...]:
    return diagnostic.code, diagnostic.location


def changed_defaults(old: str, new: Knowledge) -> tuple[Change, ...]:
    """Parameters whose default differs: leaving them out means something else. Structured ones are left out."""
    from harness.cli.params import knowledge
    from harness.params.changes import compare

    changes = compare(knowledge(old).grammar, new.grammar)
    return tuple(c for c in changes if c.aspect == "default" and new.grammar.names[c.name].schema is None)


def _render(report: LintReport, *, as_json: bool) -> None:
    from harness.cli.formats import render_report

    color = not as_json and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    text = render_report(report, "json" if as_json else "text", color=color, fail_on=Severity.ERROR)
    if text:
        click.echo(text.encode("utf-8", "backslashreplace"))


def _show_json(report: LintReport, moves: Sequence[Move], defaults: dict[str, tuple[Change, ...]]) -> None:
    from harness.cli.formats import render_report
    from harness.cli.params import as_row

    document = json.loads(render_report(report, "json", color=False, fail_on=Severity.ERROR))
    document["from"] = list(defaults)
    document["from_not_known"] = {
        "lists_without_version": sum(move.unsaid for move in moves),
        "versions": list(dict.fromkeys(version for move in moves for version in move.strange)),
    }
    document["errors_today"] = {move.report.path: move.errors_today for move in moves if move.errors_today}
    document["defaults"] = [
        {"from": old, **as_row(change)} for old, changes in defaults.items() for change in changes
    ]
    click.echo(json.dumps(document, indent=1))


def _show(
    report: LintReport, moves: Sequence[Move], defaults: dict[str, tuple[Change, ...]], *, version: str
) -> None:
    _render(report, as_json=False)
    for old, changes in defaults.items():
        for change in changes:
            click.echo(f"default of --{change.name}: {change.before} in {old}, {change.after} in {version}")
    doubts = [text for move in moves for text in doubts_about(move, version)]
    for text in doubts:
        click.echo(f"note: {text}", err=True)
    last = verdict(report, version, is_certain=not doubts)
    for move in moves:
        if move.errors_today:
            errors = counted(move.errors_today, "error")
            last += f", and {errors} that it has already: harness lint {quote(move.report.path)}"
    click.echo(last, err=True)


def doubts_about(move: Move, version: str) -> list[str]:
    """Why it cannot be said of some lists what changes for them, and what was shown instead."""
    from harness.cli.engine_versions import at_hand
    from harness.params.versions import not_known

    shown = f"all that vLLM {version} objects to is shown, new or not"
    doubts = [f"{move.report.path}: {not_known(old, at_hand())}; {shown}" for old in move.strange]
    if move.unsaid:
        which = "" if move.unsaid == move.lists else f" of {move.unsaid} of its {move.lists} lists"
        doubts.append(
            f"{move.report.path} does not say the present vLLM version{which} (--from V does); {shown}"
        )
    return doubts


def verdict(report: LintReport, version: str, *, is_certain: bool) -> str:
    """The last line. ``is_certain`` False: today's version is not known, so nothing is said about what changes."""
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    if not is_certain:
        counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        return f"{counts} on vLLM {version}; what breaks there and works today is not known"
    if not errors:
        return f"nothing breaks on vLLM {version}"
    return f"{errors} thing{'s' * (errors > 1)} break{'s' * (errors == 1)} on vLLM {version}"
