"""A level's command in a report, read by ``harness load`` itself, is the level and the workload of the sweep."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from harness.cli.load import command
from harness.cli.load_options import prompts_from, stages_from, workload_from
from harness.cli.load_session import levels_for
from harness.load.levels import Level
from harness.load.slo import Slo
from harness.load.workload import Workload
from harness.plan.config import load_config
from harness.plan.pruning import parse_prune
from harness.results.prices import PriceTable
from harness.results.reproduction import reproduction_section, sweep_command
from harness.results.resolved import Resolved
from harness.sweep.loads import levels, workload

LOADS = (
    "{concurrency: [1, 8], duration: 30s}",
    "{concurrency: 4, requests: 7, warmup: 0s}",
    "{rate: 2.0000001, duration: 90s, warmup: 250ms}",
    "{rate: [0.3, 1], arrivals: constant, requests: 9, max-in-flight: 5}",
    "{rate: 2, arrivals: gamma, burstiness: 0.35, duration: 30s}",
    "{ramp: [0, 8.5], duration: 3m}",
    "{steps: [1, 0, 4.25], duration: 30s}",
)
SEARCHES = (
    "{find: rate, from: 0.7, duration: 20s, steps: 5}",
    "{find: rate, arrivals: gamma, burstiness: 2, requests: 40}",
    "{find: knee, duration: 20s, steps: 9}",
    "{find: knee, from: 3, requests: 12}",
)
TRACE = "".join(
    f'{{"timestamp": {1000 * at}, "input_length": 30, "output_length": 3, "hash_ids": [0]}}\n'
    for at in (5, 6, 15)
)
TURNS = '{"turns": ["a", "b"]}\n{"turns": ["c"], "output_tokens": 5}\n'
SAID = [{"role": who, "content": what} for who, what in (("user", "a"), ("assistant", "b"), ("user", "c"))]
MESSAGES = json.dumps({"messages": SAID}) + "\n"
TINY = Path(__file__).resolve().parents[2] / "configs" / "models" / "tiny-llama"
WORKLOADS = (
    "{}",
    f"{{tokenizer: {TINY}, input-tokens: 300}}",
    "{input-tokens: {distribution: lognormal, mean: 512, stddev: 200, min: 16, max: 4096}}",
    "{input-tokens: {distribution: normal, mean: 300.5, stddev: 20}}",
    "{output-tokens: {distribution: uniform, min: 1, max: 9}}",
    "{input-tokens: {distribution: normal, mean: 300, stddev: 20, max: 512}, api: completions, stream: false}",
    "{output-tokens: {distribution: empirical, values: [64, 256, 64], weights: [3, 1.25, 2]}, cache: cold, seed: 11}",
    "{output-tokens: {distribution: empirical, values: [64, 256]}, prefix-tokens: 100, prefix-groups: 3}",
    '{turns: 3, extra: {temperature: 0.5, stop: ["it\'s"]}}',
    "{turns: {distribution: uniform, min: 2, max: 6}, think-time: 1500ms}",
    "{turns: 2, think-time: {distribution: lognormal, mean: 2s, stddev: 1s, max: 10s}}",
    "{turns: 2, think-time: {distribution: normal, mean: 2s, stddev: 700ms, min: 10ms}}",
    "{turns: 2, think-time: {distribution: uniform, min: 10ms, max: 90ms}}",
)


def sweep(
    folder: Path, load: str, asked: str = "{}", *, slo: str = "ttft_p95<=500ms", stop: str = "", **files: str
) -> tuple[Resolved, list[Level], Workload]:
    """A sweep file as the folder of its results keeps it, its levels and its workload."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    objective = f"slo: {slo}\n" if slo else ""
    (folder / "x.yaml").write_text(
        f"model: org/model\ngpu-type: gpua5000\nengine-version: '0.15.1'\nworkload: {asked}\nload: [{load}]\n"
        f"{objective}{stop}timeouts: {{request: 45s}}\n"
    )
    config = load_config(str(folder / "x.yaml"))
    asked_for = workload(config.workload)
    kept = Resolved(
        name="x", started_at="2026-11-23T16:00:00Z", simulated=True, deployer="exoscale", cells=(), slo=config.slo,
        seed=config.workload.seed, workload=asked_for.described(),
        load=tuple(level.to_json() for level in levels(config)),
    )  # fmt: skip
    return Resolved.parse(json.loads(json.dumps(kept.to_json()))), levels(config), asked_for


def read_back(text: str, *, file: Path | None = None) -> tuple[Level, Workload, int]:
    """What the command would measure, by the command's own options."""
    harness, load, *words = shlex.split(text)
    assert (harness, load) == ("harness", "load")
    if file is not None:
        words = [str(file) if word == "FILE" else word.replace("@FILE", f"@{file}") for word in words]
    options = command.make_context("load", words).params
    prompts = prompts_from(options)
    slo = Slo.parse(options["slo_text"]) if options["slo_text"] else None
    [level] = levels_for(
        options["find"],
        stages_from(options, prompts),
        slo,
        early_stop=options["early_stop"],
        most_steps=options["find_steps"],
    )
    return level, workload_from(options, prompts), options["seed"]


def check(kept: Resolved, wanted: list[Level], asked: Workload, *, file: Path | None = None) -> None:
    whole, *rows = reproduction_section(kept).tables[0].rows
    assert whole[1].text.startswith("harness sweep config.yaml")
    assert len(rows) == len(wanted) > 0
    for place, (level, (name, line)) in enumerate(zip(wanted, rows, strict=True)):
        assert name.text == level.label
        assert read_back(line.text, file=file) == (level, asked, kept.seed + place)


@pytest.mark.parametrize("load", [*LOADS, *SEARCHES, ", ".join((*LOADS, *SEARCHES))])
@pytest.mark.parametrize("stop", ["", "early-stop: false\n", "early-stop: true\n"])
def test_every_load_is_given_back(tmp_path: Path, load: str, stop: str) -> None:
    check(*sweep(tmp_path, load, stop=stop))


@pytest.mark.parametrize("load", [*LOADS, SEARCHES[2]])
@pytest.mark.parametrize("stop", ["", "early-stop: true\n"])
def test_every_load_without_an_slo_is_given_back(tmp_path: Path, load: str, stop: str) -> None:
    check(*sweep(tmp_path, load, slo="", stop=stop))


@pytest.mark.parametrize("asked", WORKLOADS)
def test_every_workload_is_given_back(tmp_path: Path, asked: str) -> None:
    check(*sweep(tmp_path, LOADS[0], asked))


@pytest.mark.parametrize("stretch", ["", ", stretch: [2, 0.5]", ", requests: 2", ", duration: 8s"])
def test_a_trace_is_given_back(tmp_path: Path, stretch: str) -> None:
    kept = sweep(tmp_path, f"{{trace: true{stretch}}}", "{prompts: t.jsonl}", **{"t.jsonl": TRACE})
    check(*kept, file=tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("asked", "prompts"),
    [
        ("{prompts: p}", '{"prompt": "a", "output_tokens": 5}\n{"prompt": "b"}\n'),
        ("{prompts: p}", MESSAGES),
        ("{prompts: p}", TURNS),
        ("{prompts: p, turns: all, think-time: 2s}", TURNS + MESSAGES),
        ("{prompts: p, turns: 2}", MESSAGES),
    ],
)
def test_prompts_of_a_file_are_given_back(tmp_path: Path, asked: str, prompts: str) -> None:
    check(*sweep(tmp_path, f"{LOADS[0]}, {SEARCHES[0]}", asked, p=prompts), file=tmp_path / "p")


def test_lengths_of_a_file_are_given_back(tmp_path: Path) -> None:
    counts = "".join(f"{1000 + n} {n + 1}\n" for n in range(100))
    kept = sweep(
        tmp_path, LOADS[0], "{output-tokens: {distribution: empirical, file: counts}}", counts=counts
    )
    assert "--output-tokens @FILE" in reproduction_section(kept[0]).tables[0].rows[1][1].text
    check(*kept, file=tmp_path / "counts")


def test_a_step_of_a_search_is_said_and_what_a_placeholder_stands_for(tmp_path: Path) -> None:
    searched, *_ = sweep(tmp_path, SEARCHES[0], "{prompts: p}", p=MESSAGES)
    plain, *_ = sweep(tmp_path, LOADS[0])
    assert [("--find-steps" in text, "FILE" in text) for text in reproduction_section(searched).text[1:]] == [
        (False, True),
        (True, False),
    ]
    assert len(reproduction_section(plain).text) == 1


def test_the_whole_sweep_is_repeated_with_its_pruning_and_prices() -> None:
    prices = PriceTable("EUR", "2026-10", "list prices", {"gpua5000": {1: 1.0}})
    usual = {"name": "x", "started_at": "2026-11-23T16:00:00Z", "simulated": False, "cells": ()}
    kept = Resolved(**usual, deployer="existing", prune="keep=20%,equivalent", prices=prices)  # type: ignore[arg-type]  # a dict of several types
    assert sweep_command(kept) == (
        "harness sweep config.yaml --endpoint URL --prune keep=20%,equivalent --prices PRICES"
    )
    assert parse_prune("keep=20%,equivalent").text == kept.prune
