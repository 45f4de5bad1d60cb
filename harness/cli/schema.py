"""``harness schema``: the JSON Schema of sweep configs."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
def command() -> int:
    """Print the JSON Schema of sweep configs, for editors.

    \b
    harness schema > sweep.schema.json
    # yaml-language-server: $schema=sweep.schema.json     as the first line of a sweep config
    """
    from harness.plan.schema import sweep_schema

    click.echo(json.dumps(sweep_schema(), indent=2))
    return 0
