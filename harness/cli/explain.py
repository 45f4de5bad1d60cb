"""``harness explain``: a lint rule's page."""

from __future__ import annotations

import json

import click

from harness.cli.completing import rule_codes
from harness.errors import UsageError

FACTS = "After # stands what an example is judged with: a file says it beside its list, or an option of harness lint."


@click.command(name="explain")
@click.argument("code", required=False, shell_complete=rule_codes)
@click.option("--json", "as_json", is_flag=True, help="Write the page, or the list of rules, as JSON.")
def command(code: str | None, as_json: bool) -> None:
    """Show the page of rule CODE: what it means, an example that is wrong, one that is right.

    Without CODE every rule is listed with the first line of its page.

    \b
    harness explain value-not-allowed
    """
    from harness.params.explain import codes, page, suggest

    if code is None:
        pages = [found for found in map(page, codes()) if found is not None]
        if as_json:
            click.echo(json.dumps([_facts(found) for found in pages], indent=1))
        else:
            width = max(len(found.code) for found in pages)
            for found in pages:
                click.echo(f"{found.code:{width}}  {found.stage:8}  {plain(found.title)}")
        return
    known = page(code)
    if known is None:
        text = file_code(code)
        if text is not None:
            click.echo(json.dumps({"code": code, "text": text}, indent=1) if as_json else f"{code}\n\n{text}")
            return
        near = suggest(code)
        hint = f"; did you mean '{near}'?" if near is not None else "; harness explain lists them"
        raise UsageError(f"no rule has the code '{code}'{hint}")
    if as_json:
        click.echo(json.dumps({**_facts(known), "text": known.text}, indent=1))
    else:
        click.echo(f"{known.code} ({known.stage}, {known.severity})\n\n{plain(known.text)}")
        if any(example.facts for example in (*known.wrong, *known.right)):
            click.echo(f"\n{FACTS}")


def plain(text: str) -> str:
    """A page as a terminal shows it: one mark around code, and one colon before an example."""
    return text.replace("``", "`").replace("::\n", ":\n")


def file_code(code: str) -> str | None:
    """What a finding about a file, rather than about parameters, means."""
    from harness.plan.codes import FILE_CODES

    return FILE_CODES.get(code)


def _facts(found: object) -> dict[str, str]:
    return {name: str(getattr(found, name)) for name in ("code", "stage", "severity", "title")}
