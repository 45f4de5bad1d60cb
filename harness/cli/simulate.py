"""``harness simulate``: the embedded cloud as a server on loopback."""

from __future__ import annotations

from pathlib import Path

import click

from harness.simulator.refusal import Dialect


def list_faults(context: click.Context) -> None:
    """Prints every fault and what it does."""
    from harness.simulator.fault_guide import guide

    click.echo("\n".join(guide()))
    context.exit()


@click.command("simulate")
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
def command(
    port: int,
    seed: int,
    time_scale: float,
    faults: Path | None,
    dialect: str,
    foreign: tuple[str, ...],
    create_ends_served: bool,
) -> None:
    """Serve a simulated Exoscale zone with vLLM-like endpoints until Ctrl-C.

    Prints one JSON line {"endpoint", "api_key", "api_secret", "zone"} when it listens. What it measures is
    simulated.

    \b
    harness simulate --port 8080 --time-scale 60
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
        announce=print_line,
    )
