"""``harness lint --fix`` and ``--diff``: what was mended, or would be, is told change by change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from harness.cli.render import discreet, visible
from harness.diagnostics import Diagnostic
from harness.params.secrets import secrets_in, without_secrets
from harness.plan.files import Candidate, discover
from harness.plan.fixing import Mending, fix_file, mend_file
from harness.plan.lint import Judge, collected
from harness.plan.report import LintReport
from harness.units import counted


def fix_files(paths: Sequence[str], judge: Judge) -> tuple[LintReport, int]:
    """Mends every file and says on stderr what it did; the report on what remains, and how many findings are gone."""
    candidates = tuple(discover(paths))
    made = [fix_file(candidate.path, judge) for candidate in candidates]
    for line in told(made):
        click.echo(visible(line), err=True)
    return _report(candidates, made, judge), sum(len(one.gone) for one in made)


def show_diff(paths: Sequence[str], judge: Judge) -> int:
    """Prints what would change; 1 when something would, 2 when a file cannot be used or there is none, else 0."""
    candidates = tuple(discover(paths))
    made = [mend_file(candidate.path, judge) for candidate in candidates]
    changed = [one for one in made if one.diff]
    for one in changed:
        shown = without_secrets(one.diff, secrets_in(one.before))
        click.echo(shown.encode("utf-8", "backslashreplace"), nl=False)
    report = _report(candidates, made, judge)
    gone = sum(len(one.gone) for one in changed)
    click.echo(f"{counted(gone, 'finding')} to mend in {counted(len(changed), 'file')}", err=True)
    return 2 if report.exit_code() == 2 else int(bool(changed))


def _report(candidates: Sequence[Candidate], made: Sequence[Mending], judge: Judge) -> LintReport:
    pairs = zip(candidates, made, strict=True)
    return collected(((candidate, one.report) for candidate, one in pairs), judge.options)


def told(made: Sequence[Mending]) -> Iterator[str]:
    """A line for each finding that is gone: ``x.yaml:3:5: mended value-for-switch: write --enable-prefix-caching``."""
    for one in made:
        secrets = secrets_in(one.before) if one.gone else frozenset[str]()
        for diagnostic in (discreet(gone, secrets) for gone in one.gone):
            place = one.report.path if diagnostic.location is None else str(diagnostic.location)
            yield f"{place}: mended {diagnostic.code}: {what(diagnostic)}"


def what(diagnostic: Diagnostic) -> str:
    """What was done, in the words of the change; a finding that went with another's change says only itself."""
    return diagnostic.message if diagnostic.fix is None else diagnostic.fix.description
