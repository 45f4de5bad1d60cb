"""What a report prints under "To reproduce", run in the results folder as printed, does the same sweep again."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from harness.plan.config import SweepConfig, load_config
from harness.plan.matrix import expand
from harness.results.frame import load
from harness.results.store import config_sha256
from harness.sweep.keeping import keep
from tests.command import run_here

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MODEL = "Qwen/Qwen2.5-7B-Instruct"
HEAD = f'model: {MODEL}\nengine-version: "0.15.1"\nparameters: [--max-model-len=4096]\n'
SWEEP = f"""\
{HEAD}models: {{{MODEL}: {{config: ../given/model.json}}}}
matrix:
  gpu-type: [gpua5000]
  gpu-count: [1, 2]
prune: {{keep: 50%}}
workload:
  tokenizer: "../given"
  input-tokens: {{distribution: uniform, min: 100, max: 300}}
  output-tokens: {{distribution: empirical, file: lengths}}
  seed: 3
load: [{{concurrency: 4, requests: 20, warmup: 0s}}]
"""
FAULTS = "faults:\n  - {fault: no-done, every: 9}\n"
PRICES = {"currency": "EUR", "as-of": "2026-10", "what": "test", "per-hour": {"gpua5000": {1: 1.5, 2: 9.0}}}


@pytest.fixture(name="place")
def place_fixture(tmp_path: Path) -> Path:
    """A sweep file without a name of its own, and what it reads, in the folders where somebody keeps them."""
    (tmp_path / "asked").mkdir()
    (tmp_path / "given").mkdir()
    shutil.copy(CONFIGS / "models" / "qwen2.5-7b-instruct" / "config.json", tmp_path / "given" / "model.json")
    shutil.copy(CONFIGS / "models" / "tiny-llama" / "tokenizer.json", tmp_path / "given")
    (tmp_path / "asked" / "lengths").write_text("8\n16 3\n")
    (tmp_path / "asked" / "few-cards.yaml").write_text(SWEEP)
    (tmp_path / "asked" / "faults.yaml").write_text(FAULTS)
    (tmp_path / "asked" / "prices.yaml").write_text(json.dumps(PRICES))
    return tmp_path


def test_the_printed_sweep_gives_the_same_requests_when_nothing_else_is_left(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    given = ("--prices", "asked/prices.yaml", "--faults", "asked/faults.yaml", "--no-prune", "--seed", "5")
    limits = ("--max-cost", "90", "--parallel-deployments", "1", "--reuse", "--ttl", "2h")
    words = ("--simulate", "--virtual", *given, *limits, "--results", "first")
    first = run_here("sweep", "asked/few-cards.yaml", *words, environment=os.environ)
    assert first.returncode == 0, first.stderr
    printed = re.search(r"`(harness sweep [^`]+)`", (place / "first" / "report.md").read_text())
    assert printed is not None
    command = shlex.split(printed[1])
    assert {*limits, "--no-prune", "--seed", "5", "--virtual", "--faults", "7200"} - {"2h"} <= set(command)
    shutil.rmtree(place / "asked")
    shutil.rmtree(place / "given")
    (place / "first").rename(place / "elsewhere")
    monkeypatch.chdir(place / "elsewhere")
    again = run_here(*command[1:], environment=os.environ)
    assert again.returncode == 0, again.stderr
    then, now = (load(place / name) for name in ("elsewhere", "few-cards-again"))
    assert len(then.requests) == 40
    assert 0 < then.requests["outcome"].ne("succeeded").sum() < 40  # the faults
    pd.testing.assert_frame_equal(now.requests, then.requests)
    pd.testing.assert_frame_equal(now.chunks, then.chunks)
    assert then.resolved.cells == now.resolved.cells
    assert (then.resolved.name, then.resolved.prices) == (now.resolved.name, now.resolved.prices)


def kept_and_read(path: Path, folder: Path) -> SweepConfig:
    """What the folder keeps of a sweep file, written there and read again."""
    kept = keep(load_config(str(path)))
    for name, content in {**kept.inputs, "config.yaml": kept.config}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return load_config(str(folder / "config.yaml"))


TOML = f'''\
model = "{MODEL}"
engine-version = "0.15.1"
gpu-type = "gpua5000"
load = [{{rate = 1e-05, requests = 9}}]
[models."{MODEL}"]
config = '../given/model.json'
'''
JSON = {
    "model": MODEL, "gpu-type": "gpua5000", "engine-version": "0.15.1", "load": [{"rate": 1e-05, "requests": 9}],
    "models": {MODEL: {"config": "../given/model.json"}},
}  # fmt: skip
FLOW = f"{{model: {MODEL}, gpu-type: gpua5000, engine-version: '0.15.1', load: [{{rate: 0.00001, requests: 9}}]}}"


@pytest.mark.parametrize(
    ("name", "text", "inputs"),
    [
        ("few.toml", TOML, 1),
        ("few.json", json.dumps(JSON, indent="\t"), 1),
        ("few.yaml", FLOW, 0),
        (
            "few.yaml",
            f"---\n  # two in\n  {FLOW[1:-1].replace(', ', chr(10) + '  ').replace('9}}', '9}')}",
            0,
        ),
    ],
)
def test_a_sweep_file_of_any_form_is_kept_as_one_that_says_the_same(
    place: Path, name: str, text: str, inputs: int
) -> None:
    (place / "asked" / name).write_text(text.replace("\n  requests", ", requests"))
    asked, read = load_config(str(place / "asked" / name)), kept_and_read(place / "asked" / name, place / "x")
    assert (read.name, read.load, read.workload) == ("few", asked.load, asked.workload)
    assert [*expand(read)] == [*expand(asked)] != []
    assert read.load[0].rate_per_s == 1e-05  # type: ignore[union-attr]  # not a search
    assert len(list((place / "x").glob("inputs/*"))) == inputs == len(read.models)
    assert config_sha256((place / "asked" / name).read_bytes()) in (place / "x" / "config.yaml").read_text()


def test_a_sweep_file_that_names_itself_and_no_files_is_kept_byte_for_byte(tmp_path: Path) -> None:
    text = f"# mine\nname: x\n{HEAD}gpu-type: gpua5000\nload: [{{concurrency: 1, requests: 1}}]\n"
    (tmp_path / "a.yaml").write_text(text)
    kept = keep(load_config(str(tmp_path / "a.yaml")))
    assert (kept.config, kept.inputs) == (text.encode(), {})


def test_a_local_engines_model_is_named_where_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place / "asked")
    kept = keep(load_config("few-cards.yaml"), local=True)
    models = yaml.safe_load(kept.config)["models"]
    assert Path(models[MODEL]["config"]).is_absolute()
    assert Path(models[MODEL]["config"]).samefile(place / "given" / "model.json")
    assert sorted(kept.inputs) == ["inputs/2-tokenizer.json", "inputs/3-lengths"]
