"""The ``harness`` command: finds the sub-command, turns errors into one line and an exit code.

Sub-commands are imported when they are called, so that ``harness lint`` does not pay for pandas.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import cast

import click

from harness import __version__
from harness.errors import ConfigError, HarnessError, was_interrupted

# name -> (module, one-line help): the help is repeated here so that `harness --help` imports nothing.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "lint": ("harness.cli.lint", "Check engine parameters in sweep configs, deployment files or ARG lists."),
    "explain": ("harness.cli.explain", "Show a lint rule's page."),
    "params": ("harness.cli.params", "List, show and compare what engine versions accept."),
    "migrate": (
        "harness.cli.migrate",
        "Say what breaks in FILE on another engine version, and what replaces it.",
    ),
    "import-vllm": (
        "harness.cli.import_vllm",
        "Turn the parameters of a vllm bench sweep into a sweep config.",
    ),
    "plan": ("harness.cli.plan", "Expand, lint, forecast and price a sweep; creates nothing."),
    "sweep": ("harness.cli.sweep", "Deploy a matrix, load-test it, tear it down, compare."),
    "cleanup": ("harness.cli.cleanup", "Delete what our journals say is ours and still alive."),
    "load": ("harness.cli.load", "Load-test one endpoint."),
    "report": ("harness.cli.report", "Rebuild the reports of a run from its stored records."),
    "compare": ("harness.cli.compare", "Compare two runs, with an interval on each change."),
    "capacity": ("harness.cli.capacity", "Say what to buy for a rate and an SLO."),
    "simulate": ("harness.cli.simulate", "Run the embedded cloud as a server (simulated)."),
    "schema": ("harness.cli.schema", "Print the JSON Schema of sweep configs, for editors."),
}


class LazyGroup(click.Group):
    """A group whose commands are modules with a ``command`` attribute, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table, which is the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return cast(click.Command, importlib.import_module(entry[0]).command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the command that was likely meant where there is none of this name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from harness.params.names import close_names  # only a mistake needs it

            near = close_names(args[0], COMMANDS)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="harness")
def command() -> None:
    """Lint vLLM engine parameters; benchmark Exoscale's Dedicated Inference; decide what to buy.

    \b
    harness lint configs/                     check a config before a GPU is paid for
    harness sweep configs/demo.yaml --simulate   run the main job on the embedded cloud
    harness report results/demo               read what came out

    Exit codes: 0 fine, 1 findings or a bar missed or a failed cell, 2 wrong usage or unusable input,
    3 could not finish, or something paid for may still be running.
    """


def show_error(error: HarnessError) -> None:
    """One line on stderr; a config error's findings each with its place and caret before it."""
    if isinstance(error, ConfigError) and error.diagnostics:
        from harness.cli.render import render_diagnostics

        click.echo(render_diagnostics(error.diagnostics, color=sys.stderr.isatty()), err=True)
    click.echo(f"error: {error}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console entry point: runs the command, never shows a traceback for an error of ours."""
    try:
        result = command.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except HarnessError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("HARNESS_DEBUG"):
            raise
        if was_interrupted(error):
            click.echo("aborted", err=True)
            sys.exit(130)
        click.echo(
            f"error: a defect in harness: {type(error).__name__}: {error}; HARNESS_DEBUG=1 shows where",
            err=True,
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
