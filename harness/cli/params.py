"""``harness params``: what an engine version accepts, from the shipped knowledge and from fetched help documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from harness.cli import completing
from harness.cli.parameter import FlagCommand
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.params.changes import Change
    from harness.params.grammar import Option
    from harness.params.lint import Knowledge

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")
VERSION_OPTION = click.option(
    "--engine-version",
    metavar="V",
    shell_complete=completing.engine_versions,
    help="vLLM version; the newest known one if left out.",
)

MAX_CELL = 60


@click.group(name="params")
def command() -> None:
    """Show what vLLM versions accept.

    Known without asking anybody: the versions that ship with this program. `fetch` asks the API for a version's own
    document and keeps it.
    """


@command.command(name="list")
@VERSION_OPTION
@JSON_OPTION
def list_command(engine_version: str | None, as_json: bool) -> None:
    """List every parameter of a version with its type and default.

    \b
    harness params list --engine-version 0.15.1
    """
    from harness.cli.parameter import facts

    known = knowledge(engine_version)
    options = [option for option in known.grammar.options if option.name != "help"]
    if as_json:
        click.echo(json.dumps([facts(option) for option in options], indent=1))
        return
    note_provenance(known)
    show_table(
        ("parameter", "type", "default", "section"),
        (
            [option.spec.flag, kind(option), option.spec.default or "", option.spec.section or ""]
            for option in options
        ),
    )


@command.command(name="show", cls=FlagCommand)
@click.argument("name", shell_complete=completing.parameter_names)
@VERSION_OPTION
@JSON_OPTION
def show_command(name: str, engine_version: str | None, as_json: bool) -> None:
    """Show all that is known of parameter NAME: max-model-len, --max-model-len, -tp, or an abbreviation.

    \b
    harness params show max-model-len --engine-version 0.12.0
    """
    from harness.cli.parameter import facts, find, versions_with

    known = knowledge(engine_version)
    option = find(name, known.grammar)
    found = {**facts(option), "versions": versions_with(option.name)}
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    note_provenance(known)
    for key, value in found.items():
        if value not in (None, [], {}, False):
            click.echo(f"{key:13}  {as_text(value)}")


@command.command(name="diff")
@click.argument("old", metavar="V1", shell_complete=completing.engine_versions)
@click.argument("new", metavar="V2", shell_complete=completing.engine_versions)
@JSON_OPTION
def diff_command(old: str, new: str, as_json: bool) -> None:
    """Compare the parameters of versions V1 and V2.

    \b
    harness params diff 0.12.0 0.15.1
    """
    from harness.params.changes import compare

    before, after = knowledge(old), knowledge(new)
    changes = compare(before.grammar, after.grammar)
    if as_json:
        click.echo(json.dumps([as_row(change) for change in changes], indent=1))
        return
    versions = (before.help.version, after.help.version)
    show_table(("", "parameter", "", *versions), (cells(change) for change in changes))
    click.echo(f"{len(changes)} difference{'s' * (len(changes) != 1)}", err=True)


@command.command(name="fetch")
@click.argument("version", metavar="V")
@click.option("--zone", metavar="ZONE", help="Zone whose API is asked.")
def fetch_command(version: str, zone: str | None) -> None:
    """Ask the API which parameters version V accepts, and keep the answer.

    Credentials come from EXOSCALE_API_KEY and EXOSCALE_API_SECRET or from exoscale.toml.

    \b
    harness params fetch 0.15.1 --zone at-vie-2
    """
    from harness.cli.engine_versions import to_fetch
    from harness.cli.fetching import fetch
    from harness.cli.help_cache import is_simulated

    found, path, difference = fetch(to_fetch(version), zone=zone)
    click.echo(f"vLLM {found.version}: {len(found.parameters)} parameters, kept in {path}")
    if is_simulated(found.provenance["source"]):
        click.echo(f"SIMULATED: {found.provenance['source']} is no real API; no command reads it", err=True)
    if difference:
        click.echo(f"note: {difference}", err=True)


def knowledge(version: str | None) -> Knowledge:
    """What is known of a version: fetched, completed by what is shipped, or shipped; UsageError when neither."""
    from harness.cli.engine_versions import at_hand, meant
    from harness.cli.help_cache import cache_folder, load_cached
    from harness.params.lint import knowledge_of
    from harness.params.snapshots import known_versions
    from harness.params.versions import not_known

    wanted = known_versions()[-1] if version is None else meant(version)
    fetched = load_cached(wanted, cache_folder())
    if fetched is None and wanted not in known_versions():
        raise UsageError(not_known(wanted, at_hand()))
    return knowledge_of(wanted, fetched)


def kind(option: Option) -> str:
    """The type column."""
    from harness.params.changes import describe_type

    return describe_type(option)


def as_text(value: object) -> str:
    """One line of a fact."""
    if isinstance(value, dict):
        return "".join(f"\n    {key}: {text}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def as_row(change: Change) -> dict[str, str | None]:
    """A difference, for JSON."""
    return {name: getattr(change, name) for name in ("name", "kind", "aspect", "before", "after")}


def cells(change: Change) -> Sequence[str]:
    """A difference as a row of the table."""
    return (change.kind, f"--{change.name}", change.aspect or "", change.before or "", change.after or "")


def note_provenance(known: Knowledge) -> None:
    """Says on stderr where the document comes from, and how old a fetched one is."""
    from datetime import UTC, datetime

    from harness.cli.help_cache import age

    source = known.help.provenance
    if source:
        old = age(known.help, datetime.now(UTC)) if known.offered is not None else None
        when = f"fetched {old} ago" if old is not None else source.get("date", "")
        click.echo(f"vLLM {known.help.version}: {source.get('source', '')}, {when}", err=True)


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns; a text longer than ``MAX_CELL`` is cut."""
    table = [tuple(map(_cropped, row)) for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads) - 1)]
    for row in table:
        shown = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*shown, row[-1]]).rstrip())


def _cropped(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"
