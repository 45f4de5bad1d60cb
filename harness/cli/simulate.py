"""``harness simulate``: the embedded cloud as a server on loopback."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from harness.simulator.refusal import Dialect


def list_faults(context: click.Context) -> None:
    """Prints every fault and what it does."""
    from harness.simulator.fault_guide import guide

    click.echo("\n".join(guide()))
    context.exit()


def exports(line: str, *, time_scale: float) -> str:
    """The announcement as shell commands, for any Exoscale client and for ours."""
    told = json.loads(line)
    variables = {
        "EXOSCALE_API_ENDPOINT": told["endpoint"],
        "EXOSCALE_API_KEY": told["api_key"],
        "EXOSCALE_API_SECRET": told["api_secret"],
        "EXOSCALE_ZONE": told["zone"],
        "HARNESS_TIME_SCALE": f"{time_scale:g}",
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


@click.command("simulate", context_settings={"max_content_width": 100})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0 takes a free one."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of provisioning times and faults.")
@click.option(
    "--time-scale",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="X",
    help="Zone seconds per second while provisioning; tokens always stream in real time.",
)
@click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Faults to inject, and quotas and stock to change (YAML or JSON).",
)
@click.option(
    "--dialect",
    type=click.Choice([dialect.value for dialect in Dialect]),
    default=Dialect.SEED.value,
    show_default=True,
    help="Error bodies and states of the older API, or of the newer one.",
)
@click.option(
    "--foreign",
    multiple=True,
    metavar="NAME",
    help="A deployment of somebody else that is already there; may be repeated.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, param, value: list_faults(ctx) if value else None,
    help="List what a fault file may hold, and end.",
)
@click.option(
    "--create-ends-served",
    is_flag=True,
    help="Keep a create operation pending until the deployment serves or fails.",
)
@click.option("--env", "as_exports", is_flag=True, help="Print the announcement as export lines for a shell.")
def command(
    port: int,
    seed: int,
    time_scale: float,
    faults: Path | None,
    dialect: str,
    foreign: tuple[str, ...],
    create_ends_served: bool,
    *,
    as_exports: bool,
) -> None:
    """Serve a simulated Exoscale zone with vLLM-like endpoints until Ctrl-C.

    Prints one JSON line {"endpoint", "api_key", "api_secret", "zone"} when it listens, or with --env the same as
    lines to paste into another shell: EXOSCALE_API_ENDPOINT, EXOSCALE_API_KEY, EXOSCALE_API_SECRET and
    EXOSCALE_ZONE, which any Exoscale client heeds, and HARNESS_TIME_SCALE for ours. Deployments are made through
    the API, by `harness sweep` without --simulate or by any other client; `harness load` measures the
    deployment-url of one. What it measures is simulated, and says so.

    \b
    harness simulate --env > zone.env &           # writes the file once it listens
    until [ -s zone.env ]; do sleep 1; done; . ./zone.env
    harness sweep configs/demo.yaml --yes         # as on Exoscale: credentials, zone and URL from the environment
    kill %1

    \b
    harness simulate --port 8080 --time-scale 1 --seed 3
    harness simulate --list-faults
    """
    from harness.load.steady import steady_process
    from harness.simulator.server import Options, print_line, run

    steady_process()
    run(
        Options(
            port=port,
            seed=seed,
            time_scale=time_scale,
            faults=faults,
            dialect=Dialect(dialect),
            foreign=foreign,
            create_ends_served=create_ends_served,
        ),
        announce=lambda line: print_line(exports(line, time_scale=time_scale) if as_exports else line),
    )
