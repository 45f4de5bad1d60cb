"""``harness migrate``: what of a file breaks on another engine version, and what replaces it."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from harness.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from harness.params.changes import Change
    from harness.plan.report import FileReport, LintReport


@click.command(name="migrate")
@click.argument("file", type=click.Path())
@click.option("--to", "version", metavar="V", required=True, help="The vLLM version to move to.")
@click.option("--from", "old", metavar="V", help="The version it runs on now, where FILE does not say.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
def command(file: str, version: str, old: str | None, as_json: bool) -> int:
    """Say what breaks in FILE on vLLM version V, and what replaces it.

    Only what differs from today is shown: findings that FILE has on its present version already are left to `harness
    lint`. Mistakes that are safe to mend can be mended with `harness lint --engine-version V --fix FILE`.

    \b
    harness migrate configs/demo.yaml --to 0.15.1

    Exit codes: 0 nothing breaks, 1 something does, 2 the file cannot be used.
    """
    from harness.cli.params import knowledge
    from harness.plan.lint import LintOptions, lint_paths

    target = knowledge(version)
    before = lint_paths([file], LintOptions(engine_version=old))
    after = lint_paths([file], LintOptions(engine_version=version, help_of=lambda _: target.help))
    if not all(report.is_usable for report in after.files):
        _show(after, as_json=as_json, version=version, defaults=())
        return 2
    report = only_new(before, after)
    defaults = changed_defaults(old, version) if old is not None else ()
    _show(report, as_json=as_json, version=version, defaults=defaults)
    return report.exit_code()


def only_new(before: LintReport, after: LintReport) -> LintReport:
    """The errors and warnings of ``after`` at places where ``before`` does not have them too."""
    from dataclasses import replace

    known = {_identity(finding.diagnostic) for finding in before.findings}

    def kept(report: FileReport) -> FileReport:
        findings = tuple(
            finding
            for finding in report.findings
            if finding.diagnostic.severity is not Severity.INFO and _identity(finding.diagnostic) not in known
        )
        return replace(report, findings=findings)

    return replace(after, files=tuple(map(kept, after.files)))


def _identity(diagnostic: Diagnostic) -> tuple[object, ...]:
    return diagnostic.code, diagnostic.location


def changed_defaults(old: str, new: str) -> tuple[Change, ...]:
    """Parameters whose default differs: leaving them out means something else. Structured ones are left out."""
    from harness.cli.params import knowledge
    from harness.params.changes import compare

    grammar = knowledge(new).grammar
    changes = compare(knowledge(old).grammar, grammar)
    return tuple(c for c in changes if c.aspect == "default" and grammar.names[c.name].schema is None)


def _show(report: LintReport, *, as_json: bool, version: str, defaults: tuple[Change, ...]) -> None:
    from harness.cli.formats import render_report
    from harness.cli.params import as_row

    if as_json:
        document = json.loads(render_report(report, "json", color=False, fail_on=Severity.ERROR))
        document["defaults"] = [as_row(change) for change in defaults]
        click.echo(json.dumps(document, indent=1))
        return
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    text = render_report(report, "text", color=color, fail_on=Severity.ERROR)
    if text:
        click.echo(text.encode("utf-8", "backslashreplace"))
    for change in defaults:
        click.echo(f"default of --{change.name}: {change.before} before, {change.after} in {version}")
    count = sum(finding.diagnostic.is_error for finding in report.findings)
    verdict = "nothing breaks" if not count else f"{count} thing{'s' * (count > 1)} break{'s' * (count == 1)}"
    click.echo(f"{verdict} on vLLM {version}", err=True)
