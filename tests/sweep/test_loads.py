"""From a sweep file's levels to stages: how long they take, what is forecast of them, when they count as the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.cli.resuming import same_measurement
from harness.load.arrivals import (
    Arrivals,
    ClosedLoop,
    ConstantRate,
    GammaRate,
    PoissonRate,
    Ramp,
    StepSeries,
    TraceReplay,
)
from harness.load.conversations import Conversations
from harness.load.lengths import EmpiricalLength, FixedLength, UniformLength, mean_length
from harness.load.stage import Stage
from harness.plan.config import SweepConfig, load_config
from harness.results.resolved import Resolved
from harness.sweep.forecasts import left_out, unforecast
from harness.sweep.loads import levels, load_seconds, workload

TRACE = "".join(
    f'{{"timestamp": {1000 * at}, "input_length": 30, "output_length": 3, "hash_ids": [0]}}\n'
    for at in (5, 6, 15)
)
MODEL = Path(__file__).resolve().parents[2] / "configs" / "models" / "qwen2.5-7b-instruct" / "config.json"


def config(folder: Path, load: str, workload: str = "{}", **files: str) -> SweepConfig:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "x.yaml").write_text(
        f"model: Qwen/Qwen2.5-7B-Instruct\nmodels: {{Qwen/Qwen2.5-7B-Instruct: {{config: {MODEL}}}}}\n"
        f"gpu-type: gpua5000\nengine-version: '0.15.1'\nworkload: {workload}\nload: [{load}]\n"
    )
    return load_config(str(folder / "x.yaml"))


def stages(config: SweepConfig) -> list[Stage]:
    """The levels of a file that has no search."""
    made = [level for level in levels(config) if isinstance(level, Stage)]
    assert len(made) == len(config.load)
    return made


EVERY_LOAD: list[tuple[str, list[Arrivals]]] = [
    ("{concurrency: [1, 8], duration: 30s}", [ClosedLoop(1), ClosedLoop(8)]),
    ("{rate: 2, duration: 30s}", [PoissonRate(2.0)]),
    ("{rate: [1, 2], arrivals: constant, requests: 9}", [ConstantRate(1.0), ConstantRate(2.0)]),
    ("{rate: 2, arrivals: gamma, burstiness: 0.5, duration: 30s}", [GammaRate(2.0, 0.5)]),
    ("{ramp: [0, 8], duration: 30s}", [Ramp(0.0, 8.0)]),
    ("{steps: [1, 0, 4], duration: 30s}", [StepSeries((1.0, 0.0, 4.0))]),
    (
        "{trace: true, stretch: [2, 1], duration: 30s}",
        [TraceReplay((0.0, 1.0, 10.0), 2.0), TraceReplay((0.0, 1.0, 10.0), 1.0)],
    ),
]


@pytest.mark.parametrize(("load", "found"), EVERY_LOAD, ids=[load for load, _ in EVERY_LOAD])
def test_every_kind_of_load_comes_from_a_file(tmp_path: Path, load: str, found: list[Arrivals]) -> None:
    made = stages(config(tmp_path, load, "{prompts: t}" if "trace" in load else "{}", t=TRACE))
    assert [stage.arrivals for stage in made] == found
    assert {stage.warmup_s for stage in made} == ({5.0} if "requests" in load else {3.0})


def test_a_limit_in_flight_and_a_traces_own_length_come_through(tmp_path: Path) -> None:
    [stage] = stages(config(tmp_path, "{trace: true, max-in-flight: 7}", "{prompts: t}", t=TRACE))
    assert (stage.duration_s, stage.requests, stage.max_in_flight) == (None, 3, 7)


def test_the_workload_comes_through(tmp_path: Path) -> None:
    made = workload(
        config(
            tmp_path,
            "{rate: 1, duration: 1s}",
            "{input-tokens: {distribution: empirical, values: [5, 50], weights: [4, 1]}, stream: false, turns: 3,"
            " output-tokens: {distribution: empirical, file: seen},"
            " think-time: {distribution: uniform, min: 1s, max: 3500ms}}",
            seen="64\n128\n",
        ).workload
    )
    assert made.input_tokens == EmpiricalLength((5, 50), (4.0, 1.0))
    assert made.output_tokens == EmpiricalLength((64, 128))
    assert made.streamed is False
    assert made.conversations == Conversations(FixedLength(3), UniformLength(1000, 3500))


def test_a_log_normal_pause_has_the_mean_that_was_asked_for(tmp_path: Path) -> None:
    text = "{turns: 2, think-time: {distribution: lognormal, mean: 2s, stddev: 1s}}"
    held = workload(config(tmp_path, "{rate: 1, duration: 1s}", text).workload).conversations
    assert held is not None
    assert held.think_time_ms is not None
    assert mean_length(held.think_time_ms) == pytest.approx(2000)


@pytest.mark.parametrize(
    ("load", "work", "seconds"),
    [
        # A request is guessed at 10 s; the warm-up of a level without a duration is 5 s, else a tenth of it.
        ("{concurrency: 4, requests: 40}", "{}", 5 + 40 * 10 / 4),
        ("{rate: 2, requests: 40}", "{}", 5 + 20 + 10),
        ("{ramp: [1, 3], duration: 20s}", "{}", 2 + 20),
        ("{steps: [1, 3], duration: 20s, warmup: 1s}", "{}", 1 + 20),
        ("{trace: true, stretch: 3}", "{prompts: t}", 5 + 3 * 10 + 10),
        ("{trace: true, requests: 2}", "{prompts: t}", 5 + 1 + 10),
        # Conversations of 3 turns with 2 pauses of 4 s: 38 s each.
        ("{concurrency: 4, requests: 8}", "{turns: 3, think-time: 4s}", 5 + 8 * 38 / 4),
        ("{rate: 2, requests: 8}", "{turns: 3, think-time: 4s}", 5 + 4 + 38),
        # Of 1 and of 3 turns, at most 2 of them: 1.5 requests and half a pause.
        ("{concurrency: 1, requests: 2}", "{prompts: talks, turns: 2, think-time: 4s}", 5 + 2 * (15 + 2)),
        ("{concurrency: 1, requests: 2}", "{prompts: talks}", 5 + 2 * 20),
    ],
)
def test_levels_take_about_so_long(tmp_path: Path, load: str, work: str, seconds: float) -> None:
    talks = '{"prompt": "a"}\n{"turns": ["a", "b", "c"]}\n'
    found = config(tmp_path, load, work, t=TRACE, talks=talks)
    assert load_seconds(found, request_s=10.0) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("load", "work", "why"),
    [
        ("{rate: 1, duration: 1s}", "{turns: 2}", "conversations"),
        ("{rate: 1, duration: 1s}", "{prompts: t}", "given prompts"),
        ("{rate: 1, duration: 1s}", "{prompts: talks}", "conversations"),
        ("{ramp: [1, 2], duration: 1s}", "{}", "here they change"),
        ("{find: knee, from: 4, duration: 1s}", "{turns: 2}", "conversations"),
    ],
)
def test_what_cannot_be_forecast_says_so(
    tmp_path: Path, load: str, work: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = config(tmp_path, load, work, t=TRACE, talks='{"turns": ["a", "b"]}')
    assert why in (unforecast(found) or "")
    assert left_out(found) == []
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(tmp_path / "x.yaml")])
    assert ended.value.code == 0
    assert f"\nno forecast of gpua5000×1 0.15.1 default: {unforecast(found)}\n" in capsys.readouterr().out


def test_levels_whose_load_changes_are_left_out_of_a_forecast_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load = "{rate: 1, duration: 9s}, {ramp: [1, 2], duration: 9s}, {steps: [1, 2], duration: 9s}"
    config(tmp_path, f"{load}, {{find: knee, duration: 9s}}")
    with pytest.raises(SystemExit):
        main(["plan", str(tmp_path / "x.yaml"), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["not_forecast"] == ["1→2 req/s", "1,2 req/s"]
    [cell] = document["accepted"]
    assert [level["level"] for level in cell["forecast"]["levels"]] == [1.0]
    assert [search["find"] for search in cell["searches"]] == ["knee"]  # it has a forecast of its own
    with pytest.raises(SystemExit):
        main(["plan", str(tmp_path / "x.yaml")])
    assert "Not forecast, as their load changes: 1→2 req/s, 1,2 req/s." in capsys.readouterr().out


def test_capacity_does_not_forecast_what_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config(tmp_path, "{rate: 1, duration: 1s}", "{turns: 2}")
    arguments = ["--rate", "1", "--slo", "ttft_p95<=1s"]
    with pytest.raises(SystemExit) as ended:
        main(["capacity", str(tmp_path / "x.yaml"), *arguments])
    assert ended.value.code == 2
    assert "not forecast; measure first" in capsys.readouterr().err


def kept(found: SweepConfig) -> Resolved:
    """What a sweep of this config would leave behind, after its trip through JSON."""
    return Resolved.parse(
        json.loads(
            json.dumps(
                Resolved(
                    name="x", started_at="", simulated=True, deployer="local", cells=(), seed=found.workload.seed,
                    workload=workload(found.workload).described(),
                    load=tuple(stage.to_json() for stage in stages(found)),
                ).to_json()
            )
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("load", "work"),
    [
        ("{steps: [1, 2], duration: 9s}", "{input-tokens: {distribution: empirical, values: [5, 6]}}"),
        ("{trace: true}", "{prompts: t}"),
        ("{concurrency: 2, requests: 9}", "{prompts: talks, turns: all, think-time: 1s}"),
        ("{rate: 2, duration: 9s}", "{input-tokens: {distribution: empirical, file: seen}}"),
    ],
)
def test_a_resumed_sweep_measures_anew_when_a_file_of_its_workload_changed(
    tmp_path: Path, load: str, work: str
) -> None:
    files = {"t": TRACE, "talks": '{"turns": ["a", "b"]}', "seen": "5\n6\n"}
    before = kept(config(tmp_path, load, work, **files))
    assert same_measurement(before, config(tmp_path, load, work, **files))
    changed = {
        "t": TRACE.replace('"input_length": 30', '"input_length": 31'),
        "talks": '{"turns": ["a", "c"]}',
        "seen": "5\n7\n",
    }
    after = config(tmp_path, load, work, **changed)
    uses_a_file = "prompts" in work or "file" in work
    assert same_measurement(before, after) is not uses_a_file
    assert "hash_ids" not in json.dumps(before.workload)
