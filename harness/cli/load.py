"""``harness load``: the options. The client is imported when one endpoint is load-tested (``harness.cli.load_run``)."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.completing import slo_presets
from harness.errors import UsageError
from harness.units import parse_duration


def duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """An option's duration in seconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise UsageError(str(error)) from error


def list_slos(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Prints every preset of an SLO with its limits."""
    if value and not ctx.resilient_parsing:
        from harness.load.slo import PRESETS

        widest = max(map(len, PRESETS))
        click.echo("\n".join(f"{name.ljust(widest)}  {limits}" for name, limits in PRESETS.items()))
        ctx.exit()


@click.command("load", context_settings={"max_content_width": 100})
@click.argument("url")
@click.option("--model", default="", help="Model name; the only or first one served unless given.")
@click.option("--api-key-env", metavar="VAR", help="Environment variable that holds the endpoint's API key.")
@click.option(
    "--ca-file", type=click.Path(dir_okay=False), help="PEM file of a private certificate authority."
)
@click.option(
    "--concurrency",
    metavar="N[,N…]",
    help="Users in a closed loop; several make several stages.  [default: 1]",
)
@click.option(
    "--rate", metavar="R[,R…]", help="Requests per second in an open loop; several make several stages."
)
@click.option(
    "--arrivals", type=click.Choice(["poisson", "constant", "gamma"]), default="poisson", show_default=True
)
@click.option(
    "--burstiness",
    type=float,
    default=1.0,
    show_default=True,
    help="Shape of gamma gaps: below 1 is burstier.",
)
@click.option("--ramp", metavar="A,B", help="An open loop whose rate goes from A to B over the duration.")
@click.option(
    "--steps", metavar="R,R[,R…]", help="An open loop with each rate for an equal part of the duration."
)
@click.option(
    "--duration",
    "duration_s",
    callback=duration,
    metavar="S",
    help="Measured time per stage: 30, 2m.  [default: 30s]",
)
@click.option(
    "--requests",
    type=int,
    metavar="N",
    help="Measured requests per stage (with --turns conversations), in place of or besides a duration.",
)
@click.option(
    "--warmup", "warmup_s", callback=duration, default="3s", show_default=True, help="Load before measuring."
)
@click.option(
    "--timeout",
    "timeout_s",
    callback=duration,
    default="5m",
    show_default=True,
    help="Longest one request may take.",
)
@click.option(
    "--drain",
    "drain_s",
    callback=duration,
    default="10s",
    show_default=True,
    help="Wait for requests in flight at the end.",
)
@click.option(
    "--max-in-flight",
    type=int,
    metavar="N",
    help="Hold an open loop's requests back above N; told in the report.",
)
@click.option(
    "--input-tokens",
    default="256",
    show_default=True,
    help="128, 100-200, normal:128,32, lognormal:128,0.5,16-4096 (limits), 64|512, 64:3|512:1 (weights) or @FILE, a "
    "count a line.",
)
@click.option("--output-tokens", default="128", show_default=True, help="As --input-tokens.")
@click.option(
    "--prompts",
    "prompts_path",
    type=click.Path(dir_okay=False),
    help="Prompts from a file: JSONL (prompt, messages or turns), ShareGPT JSON, or a Mooncake trace, replayed at its "
    "times.",
)
@click.option(
    "--turns",
    metavar="N",
    help="Conversations of N turns, each with all that was said before: 4, 2-6 or, of a file's, all. Lengths are then "
    "a turn's.",
)
@click.option(
    "--think-time",
    metavar="TIME",
    help="Pause between an answer and the next turn: 2s, 500ms-3s, normal:2s,500ms or lognormal:2s,0.5,0.1s-9s.",
)
@click.option(
    "--tokenizer",
    metavar="PATH",
    type=click.Path(),
    help="A tokenizer.json or the folder with one: synthetic prompts then have exactly the wanted tokens. Needs the "
    "extra 'tokenizers'; nothing is downloaded.",
)
@click.option(
    "--stretch", type=float, default=1.0, show_default=True, help="Multiply a trace's times: 2 is half speed."
)
@click.option(
    "--shared-prefix",
    metavar="GROUPS,TOKENS",
    help="Begin every prompt with one of GROUPS texts of TOKENS tokens.",
)
@click.option("--api", type=click.Choice(["chat", "completions"]), default="chat", show_default=True)
@click.option(
    "--stream/--no-stream", default=True, show_default=True, help="Streamed answers; without, no TTFT."
)
@click.option(
    "--cache",
    type=click.Choice(["isolated", "cold", "warm"]),
    default="isolated",
    show_default=True,
    help="A prefix cache per stage, per request, or the server's.",
)
@click.option(
    "--extra", metavar="JSON", help="Fields merged into every request body, such as '{\"temperature\": 0}'."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The same seed sends the same requests at the same times.",
)
@click.option(
    "--slo",
    "slo_text",
    metavar="SLO",
    shell_complete=slo_presets,
    help="'ttft_p95<=1s,tpot_p95<=60ms' or a preset such as mlperf-llama-3.1-8b (--list-slos names all).",
)
@click.option(
    "--list-slos",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=list_slos,
    help="List the presets of SLOs and their limits, and end.",
)
@click.option(
    "--find",
    type=click.Choice(["rate", "knee"]),
    help="Search: the highest rate that keeps the SLO, or the users beyond which throughput hardly grows.",
)
@click.option(
    "--find-steps",
    type=click.IntRange(2, 64),
    default=16,
    show_default=True,
    help="Levels that a search may measure at most.",
)
@click.option(
    "--early-stop/--no-early-stop",
    default=None,
    help="End a level once it is lost, and skip higher ones.  [default: with --slo or --find]",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    help="Client processes per stage; as many as the load needs, on a cluster one a worker, unless given.",
)
@click.option(
    "--executor",
    metavar="URL",
    help="Run the processes on a dask cluster: dask://HOST:PORT of its scheduler, tls://HOST:PORT with TLS.",
)
@click.option(
    "--definitions",
    is_flag=True,
    help="Also print what guidellm, aiperf and vLLM's benchmark would call TTFT, TPOT, ITL.",
)
@click.option(
    "--json", "json_path", metavar="FILE", type=click.Path(), help="Write all figures as JSON; - for stdout."
)
@click.option(
    "--records",
    "records_path",
    metavar="DIR",
    type=click.Path(),
    help="Write every request as Parquet, one file a stage.",
)
def command(url: str, **options: Any) -> int:
    """Load-test the OpenAI-compatible endpoint at URL (with or without /v1).

    \b
    harness load http://127.0.0.1:8000 --concurrency 1,8,32 --duration 30s
    harness load https://x.example/v1 --api-key-env KEY --rate 4 --slo 'ttft_p95<=1s,tpot_p95<=60ms'
    harness load https://x.example/v1 --api-key-env KEY --rate 1 --slo mlperf-llama-3.1-8b --find rate
    harness load http://127.0.0.1:8000 --concurrency 16 --turns 2-6 --think-time lognormal:2s,0.5 --duration 5m
    harness load https://x.example/v1 --api-key-env KEY --concurrency 4096 --executor dask://10.0.0.5:8786

    On a cluster every worker needs this version of harness, and files that are named (--ca-file) at the same place.
    The key travels with the task: use a scheduler with TLS (tls://, certificates as dask's configuration names them).

    Ctrl-C ends the stage under way and keeps what it has measured, marked as interrupted; a second one drops it.

    Exit codes: 0 measured, 1 an SLO missed or a stage without one success, 2 wrong usage, 3 no connection, or
    interrupted.
    """
    from harness.cli.load_run import run_load

    return run_load(url, options)
