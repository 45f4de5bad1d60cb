"""The exported schema and the reader say the same of whole files."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.errors import ConfigError
from harness.plan.config import load_config
from harness.plan.config_reader import KEYS, LEVEL_KEYS, TIMEOUT_KEYS
from harness.plan.pruning import PRUNE_KEYS
from harness.plan.schema import sweep_schema
from harness.plan.search_reader import SEARCH_KEYS
from harness.plan.workload_reader import LENGTH_KEYS, TIME_KEYS, WORKLOAD_KEYS

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))

BASE = {
    "model": "m/m",
    "gpu-type": "a",
    "engine-version": "0.15.1",
    "load": [{"concurrency": [1, 8], "duration": "20s"}],
}

# changes of BASE that both refuse
WRONG = [
    {"nane": "x"},
    {"name": "Bad Name"},
    {"engine-version": 0.15},
    {"gpu-count": 9},
    {"gpu-count": "1"},
    {"replicas": 0},
    {"load": []},
    {"load": [{"concurrency": 1}]},
    {"load": [{"duration": "1s"}]},
    {"load": [{"concurrency": 1, "rate": 1, "duration": "1s"}]},
    {"load": [{"concurrency": 0, "duration": "1s"}]},
    {"load": [{"rate": 1, "duration": "1s", "arrivals": "bursty"}]},
    {"load": [{"find": "peak", "duration": "1s"}]},
    {"load": [{"find": "knee"}]},
    {"load": [{"find": "knee", "duration": "1s", "concurrency": 2}]},
    {"load": [{"find": "knee", "duration": "1s", "from": 0}]},
    {"early-stop": "yes"},
    {"slo": "ttfb<=1s"},
    {"slo": "ttft_p95<=100"},
    {"slo": "ttft_p95<=1s tpot<=2s"},
    {"slo": ""},
    {"slo": "mlperf-llama"},
    {"model": "m m"},
    {"timeouts": {"ready": "soon"}},
    {"load": [{"concurrency": 1, "duration": "20 parsecs"}]},
    {"workload": {"input-tokens": 10_000_001}},
    {"workload": {"input-tokens": 0}},
    {"workload": {"api": "chatty"}},
    {"workload": {"input-tokens": {"mean": 3}}},
    {"workload": {"input-tokens": {"distribution": "empirical", "values": []}}},
    {"workload": {"turns": 0}},
    {"workload": {"turns": "some"}},
    {"workload": {"think-time": "1s"}},
    {"workload": {"turns": 2, "think-time": {"distribution": "empirical", "values": [1]}}},
    {"workload": {"stream": "no"}},
    {"load": [{"ramp": [1, 2], "requests": 5}]},
    {"load": [{"ramp": [1], "duration": "1s"}]},
    {"load": [{"ramp": [1, 2], "rate": 1, "duration": "1s"}]},
    {"load": [{"steps": [], "duration": "1s"}]},
    {"load": [{"steps": [1, -1], "duration": "1s"}]},
    {"load": [{"trace": False}]},
    {"load": [{"rate": 1, "duration": "1s", "max-in-flight": 0}]},
    {"matrix": {"gpu_type": ["a"]}},
    {"matrix": {"replicas": []}},
    {"matrix": {"replicas": [1, 1]}},
    {"matrix": {"parameters": {"a": "--x"}}},
    {"matrix": {"parameters": ["--x"]}},
    {"include": [{"zone": "x"}]},
    {"timeouts": {"redy": "1m"}},
    {"repeats": 0},
    {"parameters": "--x"},
    {"models": {"m/m": {}}},
    {"engines": {"0.15.1": 3}},
    {"prune": {}},
    {"prune": {"keep": "20%", "within": 1.5}},
    {"prune": {"keep": 2}},
    {"prune": {"within": 0.5}},
    {"prune": {"equivalent": "yes"}},
    {"prune": {"best": "20%"}},
]

# changes of BASE that both take
RIGHT = [
    {},
    {"name": "a-1", "question": "?", "zone": "ch-gva-2", "slo": "ttft_p95<=1s", "repeats": 2},
    {"slo": "ttft_p99.9 < 1.5s, tpot<=60ms,error_rate<=1%"},
    {"slo": "error_rate<=0.01"},
    {"slo": "mlperf-llama-3.1-8b-interactive"},
    {"parameters": ["--seed", 1]},
    {"timeouts": {"ready": "90", "delete": "1.5H", "operation": " 1h30m "}},
    {
        "matrix": {
            "replicas": [1, 2],
            "parameters": {"a": [], "b": {"x": [1, None, True, {"k": 1}], "y": "z"}},
        }
    },
    {"matrix": {"parameters": [["--x"], {"y": [1, 2]}], "exclude": [{"parameters": "--x"}]}},
    {"include": [{"gpu-type": "b", "gpu-count": 2}]},
    {"load": [{"rate": [0.5, 2], "requests": 10, "arrivals": "gamma", "burstiness": 0.5, "warmup": 0}]},
    {"load": [{"find": "rate", "from": 0.5, "duration": "60s", "steps": 9}], "slo": "ttft_p95<=1s"},
    {"load": [{"find": "knee", "requests": 50}, {"concurrency": 4, "duration": "1s"}], "early-stop": False},
    {
        "workload": {
            "output-tokens": {"distribution": "normal", "mean": 9, "stddev": 2},
            "extra": {"top_p": 1},
        }
    },
    {"timeouts": {"ready": 90, "delete": "1h30m"}},
    {"prune": {"keep": "20%", "equivalent": True}},
    {"prune": {"keep": 0.2}},
    {"prune": {"within": 1.5}},
    {"prune": {"equivalent": True}},
    {
        "load": [
            {"ramp": [0, 2], "duration": "1m", "max-in-flight": 8},
            {"steps": [1, 0, 4], "duration": "1m"},
        ]
    },
    {
        "workload": {
            "input-tokens": {"distribution": "empirical", "values": [5, 50], "weights": [4, 1]},
            "turns": {"distribution": "uniform", "min": 1, "max": 4},
            "think-time": {"distribution": "lognormal", "mean": "2s", "stddev": 1, "max": "10s"},
            "stream": False,
        }
    },
    {"workload": {"turns": 3, "think-time": 0}},
    {"engines": {"0.15.1": "/bin/vllm"}, "engine-environment": {"A": "b"}},
]


def reader_takes(document: object, path: Path) -> bool:
    path.write_text(yaml.safe_dump(document))
    try:
        load_config(str(path))
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_both_refuse(change: dict[str, object], tmp_path: Path) -> None:
    document = {**BASE, **change}
    assert not reader_takes(document, tmp_path / "x.yaml")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, sweep_schema())


@pytest.mark.parametrize("change", RIGHT, ids=str)
def test_both_take(change: dict[str, object], tmp_path: Path) -> None:
    document = {**BASE, **change}
    jsonschema.validate(document, sweep_schema())
    assert reader_takes(document, tmp_path / "x.yaml")


def test_schema_itself_is_valid_and_has_the_readers_keys() -> None:
    schema = sweep_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert set(properties) == set(KEYS)
    assert set(properties["workload"]["properties"]) == set(WORKLOAD_KEYS)
    items = properties["load"]["items"]
    assert set(items["else"]["properties"]) == set(LEVEL_KEYS)
    assert set(items["then"]["properties"]) == set(SEARCH_KEYS)
    assert set(properties["timeouts"]["properties"]) == set(TIMEOUT_KEYS)
    assert set(properties["prune"]["properties"]) == set(PRUNE_KEYS)
    length = properties["workload"]["properties"]["input-tokens"]["anyOf"][1]
    assert set(length["properties"]) == set(LENGTH_KEYS)
    pause = properties["workload"]["properties"]["think-time"]["anyOf"][2]
    assert set(pause["properties"]) == set(TIME_KEYS)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_sweeps_keep_to_the_schema(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    if "load" not in document:
        pytest.skip("not a sweep")
    jsonschema.validate(document, sweep_schema())
