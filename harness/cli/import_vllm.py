"""``harness import-vllm``: the parameters of a ``vllm bench sweep`` as a sweep file of ours."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import completing
from harness.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from harness.plan.vllm_params import Combination
    from harness.plan.vllm_sweep import Imported

FILE = click.Path(path_type=Path, dir_okay=False)
WHY_SEVERAL = "one sweep file has one workload and one model, and runs every level on every cell"


@click.command("import-vllm")
@click.option(
    "--serve-params", type=FILE, metavar="FILE", help="vLLM's combinations of server parameters (JSON)."
)
@click.option(
    "--bench-params", type=FILE, metavar="FILE", help="vLLM's combinations of benchmark parameters."
)
@click.option("--serve-cmd", default="vllm serve", metavar="COMMAND", help="The server command they change.")
@click.option(
    "--bench-cmd", default="vllm bench serve", metavar="COMMAND", help="The benchmark command they change."
)
@click.option("--link-vars", default="", metavar="A=B,...", help="Run only pairs whose A and B are equal.")
@click.option(
    "--num-runs", type=click.IntRange(min=1), default=3, show_default=True, help="Repeats of each cell."
)
@click.option(
    "--server-ready-timeout",
    type=float,
    default=300.0,
    show_default=True,
    help="Seconds a server has to start.",
)
@click.option(
    "--gpu-type",
    "gpu_types",
    multiple=True,
    metavar="T",
    shell_complete=completing.gpu_types,
    help="GPU family; may be repeated  [gpua5000]",
)
@click.option(
    "--gpu-count", type=click.IntRange(1, 8), metavar="N", help="GPUs a replica  [the parallel sizes']"
)
@click.option(
    "--engine-version",
    metavar="V",
    shell_complete=completing.engine_versions,
    help="vLLM version  [the newest that ships]",
)
@click.option("--model", metavar="M", help="Model, where the server command names none.")
@click.option(
    "--write", type=FILE, metavar="FILE", help="Write the sweep file; several as FILE-1, FILE-2, … ."
)
@click.option(
    "--output-dir",
    "-o",
    "output_dir",
    metavar="DIR",
    type=click.Path(),
    help="Read and passed over, as are the next four.",
)
@click.option("--after-bench-cmd", metavar="COMMAND")
@click.option("--resume", metavar="NAME")
@click.option("--show-stdout", is_flag=True)
@click.option("--dry-run", is_flag=True)
def command(**given: Any) -> int:
    """Print the sweep that `vllm bench sweep serve` with these options would run, as a sweep file of harness.

    In such a command, put `harness import-vllm` in place of `vllm bench sweep serve`. Every engine gets the arguments
    that vLLM would give it, less those that the platform sets; benchmarks become the workload and the load levels.
    What has no counterpart is named in a comment. Options that vLLM does not know are named too, and end with 1.

    \b
    harness import-vllm --serve-cmd 'vllm serve Qwen/Qwen2.5-7B-Instruct' --serve-params serve.json \\
        --bench-params bench.json --gpu-type gpua5000 --write sweep.yaml && harness lint sweep.yaml
    """
    from harness.cli.engine_versions import meant
    from harness.params.snapshots import known_versions
    from harness.plan.vllm_params import links_of
    from harness.plan.vllm_sweep import VllmSweep, all_unknown, imported

    write: Path | None = given["write"]
    files = imported(
        VllmSweep(
            serve_command=_words(given["serve_cmd"], "--serve-cmd"),
            bench_command=_words(given["bench_cmd"], "--bench-cmd"),
            serves=_read(given["serve_params"]),
            benches=_read(given["bench_params"]),
            gpu_types=given["gpu_types"] or ("gpua5000",),
            engine_version=meant(given["engine_version"] or known_versions()[-1]),
            links=links_of(given["link_vars"]),
            repeats=given["num_runs"],
            model=given["model"],
            gpu_count=given["gpu_count"],
            ready_timeout_s=given["server_ready_timeout"],
            name=_name(write),
            notes=_passed_over(given),
        )
    )
    _show(files, write)
    unknown = all_unknown(files)
    if unknown:
        click.echo(f"not options of vllm bench serve, and left out: {', '.join(unknown)}", err=True)
    return 1 if unknown else 0


def _words(text: str, option: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{option} cannot be split into words: {error}") from error


def _read(path: Path | None) -> list[Combination]:
    """The combinations of a params file; one that changes nothing without a file, as there."""
    from harness.plan.vllm_params import combinations

    if path is None:
        return [{}]
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"'{path}' is not JSON: {error}") from error
    return combinations(document, str(path))


def _name(write: Path | None) -> str:
    import re

    stem = "imported" if write is None else re.sub(r"[^a-z0-9]+", "-", write.stem.lower()).strip("-")
    return stem[:36].strip("-") or "imported"


def _passed_over(given: dict[str, Any]) -> list[str]:
    """Notes on the options that have no counterpart; a resumed or dry sweep is one of other commands."""
    said = {
        "after_bench_cmd": "prompts of a level are isolated from the cache, nothing is reset",
        "resume": "harness sweep --resume DIR",
        "dry_run": "harness plan FILE",
    }
    return [f"--{name.replace('_', '-')}: {instead}" for name, instead in said.items() if given.get(name)]


def _show(files: list[Imported], write: Path | None) -> None:
    from harness.results.files import write_text

    if write is None:
        click.echo("---\n".join(each.text for each in files), nl=False)
        if len(files) > 1:
            click.echo(f"{WHY_SEVERAL}: {len(files)} sweep files; --write FILE keeps them apart", err=True)
        return
    paths = _paths(write, len(files))
    if len(files) > 1:
        names = ", ".join(path.name for path in paths)
        click.echo(f"{WHY_SEVERAL}: writing {names} in place of {write.name}", err=True)
    for path, each in zip(paths, files, strict=True):
        write_text(path, each.text)
        click.echo(str(path))


def _paths(write: Path, count: int) -> list[Path]:
    """The files to write: the one asked for, or with ``-1``, ``-2``, … before its suffix."""
    ends = [""] if count == 1 else [f"-{number}" for number in range(1, count + 1)]
    return [write.with_name(f"{write.stem}{end}{write.suffix}") for end in ends]
