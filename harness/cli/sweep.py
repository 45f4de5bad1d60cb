"""``harness sweep``: deploy a matrix, load-test it, tear it down, compare."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.cli.calibrating import calibration_option
from harness.cli.clouds import DEFAULT_TIME_SCALE, CloudChoice
from harness.cli.pruning import prune_options, said
from harness.errors import UsageError
from harness.units import parse_duration


class DurationType(click.ParamType[float]):
    """``90s``, ``5m``, ``1h30m`` as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds, or click's own complaint."""
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` options as a mapping."""
    found = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals or not key or not rest:
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE", ctx=ctx, param=param)
        found[key] = rest
    return found


@click.command("sweep", short_help="Deploy a matrix, load-test it, tear it down, compare.")
@click.argument("config", required=False, type=click.Path())
@click.option(
    "--simulate", is_flag=True, help="Use the embedded cloud: nothing is paid for, every figure is simulated."
)
@click.option(
    "--virtual", is_flag=True, help="With --simulate: in virtual time, so that nothing is waited for."
)
@click.option("--local", is_flag=True, help="Run each cell on a real `vllm serve` on this machine.")
@click.option(
    "--endpoint", metavar="URL", help="Load an endpoint somebody else keeps; CONFIG must have one cell."
)
@click.option("--api-key-env", metavar="VAR", help="Environment variable that holds that endpoint's key.")
@click.option(
    "--resume",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Finish the sweep in DIR, by its own config file or by CONFIG; cells that changed there run again.",
)
@click.option(
    "--results", type=click.Path(file_okay=False), metavar="DIR", help="Folder to write  [results/NAME-TIME]"
)
@click.option("--replace", is_flag=True, help="Replace the run that the results folder holds.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the first deployment.")
@click.option(
    "--parallel-deployments",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Deployments that may exist at a time; load tests still run one at a time.  [2]",
)
@click.option(
    "--reuse",
    is_flag=True,
    help="Move one deployment from cell to cell where GPUs and model are the same, instead of starting each anew.",
)
@click.option(
    "--max-gpu-hours", type=click.FloatRange(min=0), metavar="H", help="Launch nothing beyond H GPU-hours."
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Launch nothing beyond this cost; needs prices.",
)
@click.option(
    "--prices", type=click.Path(dir_okay=False), metavar="FILE", help="Hourly prices, as configs/prices.yaml."
)
@prune_options
@calibration_option
@click.option(
    "--ttl",
    type=DurationType(),
    help="Tear everything down after this time, e.g. 2h; counted from the call, anew for each --resume.",
)
@click.option(
    "--delete-models", is_flag=True, help="Delete the models that this sweep had to create in the zone."
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    callback=pairs,
    metavar="VERSION=COMMAND",
    help="Command of a local engine version (--local).",
)
@click.option(
    "--model-path",
    "model_paths",
    multiple=True,
    callback=pairs,
    metavar="MODEL=DIR",
    help="Folder of a model on this machine (--local).",
)
@click.option("--zone", metavar="ZONE", help="Exoscale zone  [environment, profile or the config's]")
@click.option("--account", metavar="NAME", help="Profile in exoscale.toml.")
@click.option(
    "--time-scale",
    type=click.FloatRange(min=0.1),
    help=f"How much faster than real a simulated cloud provisions.  [{DEFAULT_TIME_SCALE:g}]",
)
@click.option("--seed", type=int, help="Seed of the simulated cloud.  [0]")
@click.option(
    "--faults", type=click.Path(dir_okay=False), metavar="FILE", help="Faults of the simulated cloud."
)
@click.option(
    "--executor",
    metavar="URL",
    help="Load with the workers of a dask cluster: dask://HOST:PORT of its scheduler, tls://HOST:PORT with TLS.",
)
@click.option(
    "--same-organisation",
    is_flag=True,
    help="With --resume: the API key is another one than before, but of the same organisation.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    config: str | None,
    *,
    simulate: bool,
    virtual: bool,
    local: bool,
    endpoint: str | None,
    api_key_env: str | None,
    resume: str | None,
    results: str | None,
    replace: bool,
    yes: bool,
    parallel_deployments: int | None,
    reuse: bool,
    max_gpu_hours: float | None,
    max_cost: float | None,
    prices: str | None,
    prune: str | None,
    no_prune: bool,
    calibration: Path | None,
    ttl: float | None,
    delete_models: bool,
    engines: dict[str, str],
    model_paths: dict[str, str],
    zone: str | None,
    account: str | None,
    time_scale: float | None,
    seed: int | None,
    faults: str | None,
    executor: str | None,
    same_organisation: bool,
    as_json: bool,
) -> int:
    """Deploy the matrix of CONFIG, load-test every deployment, tear it down, write the comparison.

    Cells that cannot start are refused before anything is paid for. The first Ctrl-C stops launching, tears
    down and reports what is there; the second prints what may still be alive and ends.

    --resume reads the config file the sweep began with, or CONFIG, as it is now: finished cells that are still in
    it are kept, new and changed ones run, those that are no longer in it leave the report. It goes on under the
    terms of the earlier attempts (limits, prices, --reuse, ...) where none are given anew, and what they took counts
    against the limits.

    \b
    harness sweep configs/demo.yaml --simulate
    harness sweep configs/demo.yaml --simulate --virtual
    harness sweep configs/demo.yaml --max-gpu-hours 12 --ttl 4h
    harness sweep --resume results/demo
    """
    from harness.cli.request import SweepRequest, Terms
    from harness.cli.sweeping import run_sweep

    if (config is None) == (resume is None) and resume is None:
        raise UsageError("name a sweep config, or a folder with --resume")
    if reuse and (local or endpoint):
        raise UsageError(
            "--reuse is for deployments of our own; a local engine is started anew for each cell"
        )
    choice = CloudChoice(
        simulate=simulate,
        virtual=virtual,
        local=local,
        endpoint=endpoint,
        api_key_env=api_key_env,
        zone=zone,
        account=account,
        faults=faults,
        engines=engines,
        model_paths=model_paths,
        same_organisation=same_organisation,
    )
    request = SweepRequest(
        config=config,
        choice=choice,
        resume=None if resume is None else Path(resume),
        results=None if results is None else Path(results),
        replace=replace,
        yes=yes,
        terms=Terms(
            parallel=parallel_deployments,
            reuse=reuse or None,
            max_gpu_hours=max_gpu_hours,
            max_cost=max_cost,
            ttl_s=ttl,
            delete_models=delete_models or None,
            time_scale=time_scale,
            seed=seed,
            prune=said(prune, no_prune=no_prune),
            calibration=None if calibration is None else str(calibration),
        ),
        prices=None if prices is None else Path(prices),
        executor=executor,
    )
    outcome = run_sweep(request)
    if as_json:
        click.echo(json.dumps(outcome.summary, indent=2))
    else:
        click.echo(outcome.text)
    return outcome.exit_code


def default_results(name: str) -> Path:
    """``results/<name>-<UTC time>``: never an existing sweep's folder."""
    return Path("results") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
