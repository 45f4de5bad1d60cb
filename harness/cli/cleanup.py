"""``harness cleanup``: delete what our journals say is ours and still alive."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.clouds import CloudChoice
from harness.errors import UsageError
from harness.units import counted


@click.command("cleanup", short_help="Delete what our journals say is ours and still alive.")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Every run folder under results/.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where --all looks.",
)
@click.option("--zone", metavar="ZONE", help="Exoscale zone  [the one the journal names]")
@click.option("--account", metavar="NAME", help="Profile in exoscale.toml.")
@click.option(
    "--same-organisation",
    is_flag=True,
    help="The API key is another one than the sweep's, but of the same organisation: its 404 is a proof.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    folder: Path | None,
    *,
    everything: bool,
    root: Path,
    zone: str | None,
    account: str | None,
    same_organisation: bool,
    as_json: bool,
) -> int:
    """Delete every deployment that the journal in FOLDER names and that may still be alive, and prove it by a 404.

    Nothing else is touched, whatever its name. Exit code 3 if anything remains.

    \b
    harness cleanup results/demo
    harness cleanup --all
    """
    import asyncio

    from harness.cli.earlier_clouds import cloud_of_journal
    from harness.errors import HarnessError
    from harness.results.journal import JournalBusy
    from harness.sweep.cleanup import Cleaned, clean_folder, run_folders

    if (folder is None) != everything:
        raise UsageError("name one results folder, or use --all")
    if folder is not None and not (folder / "journal.sqlite").is_file():
        raise UsageError(f"{str(folder)!r} holds no journal: it is not a results folder of a sweep")
    choice = CloudChoice(zone=zone, account=account, same_organisation=same_organisation)

    unreached: list[str] = []

    async def clean() -> list[Cleaned]:
        found = []
        for each in run_folders(root) if folder is None else [folder]:
            try:
                found.append(
                    await clean_folder(each, lambda path, started: cloud_of_journal(choice, path, started))
                )
            except JournalBusy as busy:
                if folder is not None:
                    raise
                click.echo(f"left alone: {busy}", err=True)
            except HarnessError as error:
                if folder is not None:
                    raise
                unreached.append(f"{each}: {error}")
        return found

    cleaned = asyncio.run(clean())
    remaining = [(one.folder, ledger, trouble) for one in cleaned for ledger, trouble in one.remaining]
    if as_json:
        document = [
            {
                "folder": str(one.folder),
                "deleted": [ledger.name for ledger in one.deleted],
                "unfound": list(one.unfound),
                "remaining": [
                    {"name": ledger.name, "id": ledger.deployment_id, "why": why}
                    for ledger, why in one.remaining
                ],
            }
            for one in cleaned
        ]
        click.echo(json.dumps(document, indent=2))
    else:
        deleted = sum(len(one.deleted) for one in cleaned)
        click.echo(
            f"{counted(len(cleaned), 'folder')}, {counted(deleted, 'deployment')} deleted or proved gone, "
            f"{len(remaining)} remaining"
        )
        for path, ledger, trouble in remaining:
            click.echo(f"  {ledger.name} ({ledger.deployment_id or 'id unknown'}) of {path}: {trouble}")
        for one in cleaned:
            for name in one.unfound:
                click.echo(
                    f"  {name} of {one.folder}: its create had no answer and it is not there; look again later"
                )
    for trouble in unreached:
        click.echo(f"error: not cleaned up: {trouble}", err=True)
    return 3 if remaining or unreached else 0
