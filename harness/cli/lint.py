"""``harness lint``: files, folders, standard input, an argument list from the shell, or JSON lines."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.cli import completing
from harness.cli.formats import NAMES
from harness.diagnostics import Severity
from harness.errors import UsageError, UserError
from harness.units import counted

if TYPE_CHECKING:
    from harness.params.help import EngineHelp
    from harness.plan.lint import Judge, LintOptions
    from harness.plan.report import FileReport, LintReport

ARGUMENTS = "harness.lint.arguments"


class LintCommand(click.Command):
    """A command whose words after ``--`` are one argument list, dashes and all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes what follows ``--`` out before click sees it."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[ARGUMENTS] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(cls=LintCommand, name="lint", options_metavar="[OPTIONS]")
@click.argument("paths", nargs=-1, metavar="[PATH]... [-- ARG...]", shell_complete=completing.lint_words)
@click.option(
    "--engine-version",
    metavar="V|all",
    shell_complete=completing.engine_versions_or_all,
    help="Judge for this vLLM version, whatever the files say.",
)
@click.option(
    "--gpu-type",
    metavar="FAMILY",
    shell_complete=completing.gpu_types,
    help="GPU family where a file says none, as gpua5000.",
)
@click.option(
    "--gpu-count", metavar="N", type=click.IntRange(1), help="GPUs per replica where a file says none."
)
@click.option(
    "--model-config",
    metavar="FILE",
    type=click.Path(),
    help="The model's config.json, for rules that need its figures.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(NAMES),
    default="text",
    show_default=True,
    help="How findings are written: for people, scripts, code scanning, annotations or test reports.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="The least severity that ends with exit code 1.",
)
@click.option(
    "--exit-zero", is_flag=True, help="End with 0 whatever is found; unusable input still ends with 2."
)
@click.option(
    "--skip-unrecognised",
    is_flag=True,
    help="Pass over a PATH that holds no engine parameters, as for hooks.",
)
@click.option(
    "--live", is_flag=True, help="Ask the API what it accepts, and which GPU families are authorized."
)
@click.option("--zone", metavar="ZONE", help="Zone to ask with --live.")
@click.option("--fix", is_flag=True, help="Mend in place what can be mended; layout and comments stay.")
@click.option(
    "--diff",
    is_flag=True,
    help="Print what --fix would change, and change nothing; exit code 1 if there is any.",
)
@click.option(
    "--batch",
    metavar="FILE|-",
    type=click.Path(),
    help="JSON lines in, JSON lines out, in the same order; no other output. See below.",
)
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[str, ...],
    engine_version: str | None,
    gpu_type: str | None,
    gpu_count: int | None,
    model_config: str | None,
    form: str,
    fail_on: str,
    exit_zero: bool,
    skip_unrecognised: bool,
    live: bool,
    zone: str | None,
    fix: bool,
    diff: bool,
    batch: str | None,
) -> int:
    """Check engine parameters before a GPU is paid for.

    PATH is a sweep config, a deployment body, a parameter list (YAML, JSON, TOML, or one item a line), container
    args, a script with `vllm serve` or `exo` lines, a folder of these, or - for standard input. Findings go to
    standard output, a summary to standard error.

    \b
    harness lint configs/
    harness lint --engine-version 0.15.1 -- --max-model-len 32k -tp 2
    kubectl get deployment engine -o yaml | harness lint -

    A finding is silenced on its line, or from the line above, by `# harness: ignore[code] reason`.

    A line of --batch is {"parameters": ["--seed", "1"], "engine_version": "0.15.1"} and, where known, "id", "gpu_type",
    "gpu_count", "replicas", "model", "model_config" (a path). Its answer is {"id", "ok", "diagnostics": [{"code",
    "severity", "stage", "message", "index", "start", "end"}]}: the item in parameters, and characters in it. "hint",
    "note" and "fix" {"description", "first", "last", "items"} are there where there is one; "not_checked" names the
    stages that were not asked, "error" stands in the answer to a line that cannot be used. The exit code is that of
    the worst line.

    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 a file that cannot be used, or nothing to lint.
    """
    from harness.plan.judge import ALL_VERSIONS, Judge, LintOptions

    gc.freeze()  # what imports made is never garbage; not walking it again at the end saves 15 ms

    arguments: tuple[str, ...] | None = ctx.meta.get(ARGUMENTS)
    _check_usage(paths, arguments, batch, fix=fix or diff, engine_version=engine_version)
    if diff and form != "text":
        raise UsageError("--diff prints a diff: it does not go with --format")
    if batch is not None:
        from harness.cli.batch import run_batch

        return run_batch(batch)
    if engine_version is not None and engine_version != ALL_VERSIONS:
        from harness.cli.engine_versions import meant

        engine_version = meant(engine_version)
    options = LintOptions(
        engine_version, gpu_type, gpu_count, model_config, skip_unrecognised, help_of=fetched_help
    )
    if live:
        from harness.cli.live import with_live_facts

        options = with_live_facts(options, zone)
    judge = Judge(options)
    if diff:
        from harness.cli.lint_fix import show_diff

        code = show_diff(paths, judge)
        return 0 if exit_zero and code == 1 else code
    mended = 0
    if arguments is not None:
        report = _report(_lint_arguments(arguments, judge))
    elif fix:
        from harness.cli.lint_fix import fix_files

        report, mended = fix_files(paths, judge)
    else:
        report = _lint(paths, options)
    severity = Severity(fail_on)
    _show(report, form, severity, paths, mended=mended)
    code = report.exit_code(fail_on=severity)
    return 0 if exit_zero and code == 1 else code


def fetched_help(version: str) -> EngineHelp | None:
    """What ``harness params fetch`` kept of a version that does not ship with the package; None without it."""
    from harness.params.snapshots import known_versions

    if version in known_versions():
        return None
    from harness.cli.help_cache import cache_folder, load_cached

    try:
        return load_cached(version, cache_folder())
    except UserError:
        return None  # a text that is no version: the linter says so at its place


def _check_usage(
    paths: Sequence[str],
    arguments: Sequence[str] | None,
    batch: str | None,
    *,
    fix: bool,
    engine_version: str | None,
) -> None:
    given = [
        name
        for name, value in (("PATH", paths), ("-- ARG...", arguments is not None), ("--batch", batch))
        if value
    ]
    if not given:
        raise UsageError("nothing to lint: give a PATH, an argument list after --, or --batch FILE")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together")
    if batch is not None and engine_version is not None:
        raise UsageError("--engine-version does not go with --batch: each line names its own")
    if fix and (given != ["PATH"] or "-" in paths):
        raise UsageError("--fix and --diff are about files: they need a PATH that is not -")


def _lint(paths: Sequence[str], options: LintOptions) -> LintReport:
    from harness.plan.lint import lint_paths

    return lint_paths(paths, options)


def _lint_arguments(arguments: Sequence[str], judge: Judge) -> FileReport:
    """The report on a list from the command line, shown as the shell would be given it."""
    from harness.plan.lint import lint_targets
    from harness.plan.spans import LocatedText, Source, StraightSpans
    from harness.plan.targets import Target

    source = Source.of("<args>", " ".join(map(shlex.quote, arguments)))
    items, at = [], 0
    for argument in arguments:
        written = shlex.quote(argument)
        spans = None
        if written in (argument, f"'{argument}'"):
            start = at + (written != argument)
            spans = StraightSpans(start, start + len(argument))
        items.append(LocatedText(source, argument, (at, at + len(written)), spans))
        at += len(written) + 1
    return lint_targets(source, [Target(source, tuple(items), (0, max(0, at - 1)))], judge)


def _report(*files: FileReport) -> LintReport:
    from harness.plan.report import LintReport

    return LintReport(tuple(files))


def _show(report: LintReport, form: str, fail_on: Severity, paths: Sequence[str], *, mended: int) -> None:
    from harness.cli.formats import render_report

    color = form == "text" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    text = render_report(report, form, color=color, fail_on=fail_on)
    if form == "text":
        from harness.cli.formats.text import unchecked

        text = "\n".join(filter(None, (text, unchecked(report))))
    if text:
        # A name or an argument may hold bytes that are no text; they are written as escapes.
        click.echo(text.encode("utf-8", "backslashreplace"))
    click.echo(summary(report, mended=mended) if report.files else nothing(report, paths), err=True)


def summary(report: LintReport, *, mended: int = 0) -> str:
    """One sentence of counts: ``2 errors, 1 warning in 3 lists (16 cells) of 1 file; 1 mended``."""
    found = [
        counted(report.count(severity), noun)
        for severity, noun in (
            (Severity.ERROR, "error"),
            (Severity.WARNING, "warning"),
            (Severity.INFO, "note"),
        )
        if report.count(severity)
    ]
    lists = sum(file.lists for file in report.files)
    cells = sum(file.cells for file in report.files)
    suppressed = sum(len(file.silenced) for file in report.files)
    in_cells = f" ({counted(cells, 'cell')})" if cells else ""
    rest = [f"{count} {what}" for count, what in ((suppressed, "suppressed"), (mended, "mended")) if count]
    if report.passed_over:
        rest.append(f"{counted(report.passed_over, 'file')} without engine parameters passed over")
    tail = f"; {', '.join(rest)}" if rest else ""
    where = f"{counted(lists, 'list')}{in_cells} of {counted(len(report.files), 'file')}"
    return f"{', '.join(found) or 'no findings'} in {where}{tail}"


def nothing(report: LintReport, paths: Sequence[str]) -> str:
    """Why there was nothing to lint: no file of a kind that may hold engine parameters, or none that does."""
    from harness.plan.detect import SUFFIXES

    where = ", ".join(map(repr, paths))
    if report.passed_over:
        looked = counted(report.passed_over, "file")
        return f"nothing to lint in {where}: {looked} looked at, none with engine parameters in it"
    return f"nothing to lint in {where}: no file there ends in {', '.join(SUFFIXES)}"
