from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig, load_config
from harness.plan.lint import lint_paths
from harness.plan.matrix import expand
from harness.plan.vllm_sweep import Imported, VllmSweep, imported

SERVE = (
    "vllm",
    "serve",
    "Qwen/Qwen2.5-7B-Instruct",
    "--port",
    "9000",
    "--max-num-seqs",
    "8",
    "--max-model-len",
    "4096",
)


def sweep(**changes: object) -> VllmSweep:
    usual: dict[str, object] = {
        "serve_command": SERVE,
        "bench_command": ("vllm", "bench", "serve", "--num-prompts", "50"),
        "serves": [{"max_num_seqs": 32}, {"enable_prefix_caching": False}],
        "benches": [{"max_concurrency": 4}, {"max_concurrency": 16}],
        "gpu_types": ("gpua5000", "gpurtx6000pro"),
        "engine_version": "0.15.1",
    }
    return VllmSweep(**(usual | changes))  # type: ignore[arg-type]  # what a test changes is its own affair


def read(made: Imported, folder: Path) -> tuple[SweepConfig, list[Cell]]:
    """The file as our own reader reads it, after the linter found nothing wrong in it."""
    path = folder / f"{made.name}.yaml"
    path.write_text(made.text, encoding="utf-8")
    report = lint_paths([str(path)])
    assert [str(finding.diagnostic) for finding in report.findings if finding.diagnostic.is_error] == []
    config = load_config(str(path))
    return config, list(expand(config))


def test_each_cell_gets_the_arguments_that_vllm_would_give_less_the_platforms(tmp_path: Path) -> None:
    (made,) = imported(sweep())
    config, cells = read(made, tmp_path)
    assert [cell.parameters for cell in cells if cell.gpu_type == "gpua5000"] == [
        ("--max-num-seqs", "32", "--max-model-len", "4096"),
        ("--max-num-seqs", "8", "--max-model-len", "4096", "--no-enable-prefix-caching"),
    ]
    assert len(cells) == 4
    assert {cell.model for cell in cells} == {"Qwen/Qwen2.5-7B-Instruct"}
    assert [(level.concurrency, level.requests) for level in config.load] == [(4, 50), (16, 50)]
    assert (config.repeats, config.timeouts.ready_s) == (3, 300.0)
    assert "--port: left out; the platform reaches the engine at its own address" in made.text


def test_parallel_sizes_become_the_gpus_of_their_own_cells(tmp_path: Path) -> None:
    serves = [{"tensor_parallel_size": 1}, {"_benchmark_name": "wide", "tensor_parallel_size": 2}]
    (made,) = imported(sweep(serves=serves))
    _, cells = read(made, tmp_path)
    assert {(cell.parameter_set, cell.gpu_count) for cell in cells} == {
        ("tensor_parallel_size=1", 1),
        ("wide", 2),
    }


def test_benchmarks_of_two_workloads_are_two_files(tmp_path: Path) -> None:
    benches = [{"max_concurrency": 4}, {"max_concurrency": 4, "random_input_len": 64}, {"max_concurrency": 8}]
    files = imported(sweep(benches=benches, name="two"))
    configs = [read(made, tmp_path)[0] for made in files]
    assert [config.name for config in configs] == ["two-1", "two-2"]
    assert [config.workload.input_tokens.mean for config in configs] == [1024, 64]
    assert [[level.concurrency for level in config.load] for config in configs] == [[4, 8], [4]]
    assert all("one of 2 files" in made.text for made in files)


def test_linked_variables_are_files_whose_cells_and_levels_belong_together(tmp_path: Path) -> None:
    serves = [{"max_num_seqs": 4}, {"max_num_seqs": 16}, {"max_num_seqs": 64}]
    files = imported(sweep(serves=serves, links=[("max_num_seqs", "max_concurrency")]))
    found = []
    for made in files:
        config, cells = read(made, tmp_path)
        found.append(({cell.parameter_set for cell in cells}, [level.concurrency for level in config.load]))
    assert found == [({"max_num_seqs=4"}, [4]), ({"max_num_seqs=16"}, [16])]


def test_combinations_that_come_to_the_same_arguments_are_one_cell(tmp_path: Path) -> None:
    (made,) = imported(sweep(serves=[{"port": 1}, {"port": 2, "api_key": "sesame"}]))
    _, cells = read(made, tmp_path)
    assert [cell.parameter_set for cell in cells] == ["default", "default"]
    assert "sesame" not in made.text


def test_a_models_name_may_come_from_either_command_or_beside_them(tmp_path: Path) -> None:
    bare = ("vllm", "serve")
    assert (
        "model: org/b\n"
        in imported(sweep(serve_command=bare, bench_command=("x", "--model", "org/b")))[0].text
    )
    assert "model: org/c\n" in imported(sweep(serve_command=bare, model="org/c"))[0].text
    with pytest.raises(ConfigError, match="no model is named"):
        imported(sweep(serve_command=bare))
    files = imported(sweep(serves=[{}, {"model": "org/other"}]))
    cells = [cell for made in files for cell in read(made, tmp_path)[1]]
    assert {(cell.model, cell.parameters) for cell in cells} == {
        (model, ("--max-num-seqs", "8", "--max-model-len", "4096")) for model in (SERVE[2], "org/other")
    }


def test_links_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="--link-vars leaves no server"):
        imported(sweep(links=[("max_num_seqs", "nothing")]))
