from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli.main import command
from harness.errors import ConfigError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["import-vllm", *arguments], standalone_mode=False)


@pytest.fixture(name="files")
def files_fixture(tmp_path: Path) -> tuple[str, ...]:
    """The options of a vllm bench sweep command, as a user would have them."""
    serve, bench = tmp_path / "serve.json", tmp_path / "bench.json"
    serve.write_text(json.dumps([{"max_num_seqs": 16}, {"max_num_seqs": 64}]))
    bench.write_text(json.dumps({"low": {"max_concurrency": 4}, "high": {"max_concurrency": 16}}))
    return (
        "--serve-cmd", "vllm serve Qwen/Qwen2.5-7B-Instruct --max-model-len 4096",
        "--bench-cmd", "vllm bench serve --num-prompts 64",
        "--serve-params", str(serve), "--bench-params", str(bench), "-o", "results", "--num-runs", "2",
        "--show-stdout",
    )  # fmt: skip


def test_what_it_writes_is_linted_and_planned(files: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "My Sweep.yaml"
    result = run(*files, "--write", str(path))
    assert (result.return_value, result.stdout) == (0, f"{path}\n")
    assert "name: my-sweep\n" in path.read_text(encoding="utf-8")
    assert CliRunner().invoke(command, ["lint", str(path)], standalone_mode=False).return_value == 0
    planned = CliRunner().invoke(command, ["plan", str(path), "--json"])
    assert json.loads(planned.stdout)["cells"] == 2


def test_it_prints_without_a_file_to_write_to(files: tuple[str, ...]) -> None:
    result = run(*files, "--gpu-type", "gpurtx6000pro", "--engine-version", "0.12.0")
    assert "gpu-type: [gpurtx6000pro]" in result.stdout
    assert "engine-version: 0.12.0" in result.stdout
    assert (
        "  - {concurrency: 4, requests: 64}\n  - {concurrency: 16, requests: 64}\nrepeats: 2" in result.stdout
    )


def test_linked_sweeps_are_written_side_by_side(files: tuple[str, ...], tmp_path: Path) -> None:
    serve = tmp_path / "linked.json"
    serve.write_text(json.dumps([{"max_num_seqs": 4}, {"max_num_seqs": 16}]))
    options = (*files, "--serve-params", str(serve), "--link-vars", "max_num_seqs=max_concurrency")
    result = run(*options, "--write", str(tmp_path / "My Out.yml"))
    assert result.stdout.splitlines() == [str(tmp_path / "My Out-1.yml"), str(tmp_path / "My Out-2.yml")]
    assert result.stderr.endswith(": writing My Out-1.yml, My Out-2.yml in place of My Out.yml\n")
    assert sorted(path.name for path in tmp_path.glob("My Out*")) == ["My Out-1.yml", "My Out-2.yml"]
    assert "name: my-out-2\n" in (tmp_path / "My Out-2.yml").read_text(encoding="utf-8")
    printed = run(*options)
    assert printed.stdout.count("\n---\n") == 1
    assert "2 sweep files" in printed.stderr


def test_a_single_sweep_is_written_to_the_very_file_that_was_asked_for(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    result = run(*files, "--write", str(tmp_path / "sweep"))
    assert (result.stdout, result.stderr) == (f"{tmp_path / 'sweep'}\n", "")
    assert (
        CliRunner().invoke(command, ["lint", str(tmp_path / "sweep")], standalone_mode=False).return_value
        == 0
    )


def test_an_option_vllm_does_not_know_ends_with_one_and_is_named(files: tuple[str, ...]) -> None:
    result = run(*files, "--bench-cmd", "vllm bench serve --colour blue")
    assert result.return_value == 1
    assert "left out: --colour" in result.stdout
    assert "left out: --colour" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("3", "expected a list"), (None, "no such file|No such file")]
)
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_text(text)
    result = run("--serve-params", str(path), "--model", "m")
    assert isinstance(result.exception, ConfigError)
    assert any(part in str(result.exception) for part in message.split("|"))
