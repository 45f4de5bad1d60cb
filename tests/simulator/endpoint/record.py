"""Records what a real engine answers: the files that ``test_against_engine.py`` holds the simulator against.

    python -m tests.simulator.endpoint.record --engine-version 0.15.1 --vllm /path/to/vllm

``--vllm`` is that version's command (or HARNESS_ENGINE_0_15_1 names it); it serves the tiny model of configs/models on
this machine's CPU, a minute for each set-up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.real_engine import ENGINES, real_engine
from tests.simulator.endpoint.described import ask, client_of, families, grown
from tests.simulator.endpoint.exchanges import EXCHANGES, KEY, MAX_MODEL_LEN, SETUPS

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "endpoint"


def record(command: str) -> dict[str, Any]:
    """Everything asked of an engine, one engine start for each set-up."""
    answers: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for setup, given in SETUPS.items():
        arguments = ["--max-model-len", str(MAX_MODEL_LEN), *flags(given)]
        with real_engine(command, arguments, key=KEY) as url, client_of(url) as client:
            for exchange in EXCHANGES:
                if exchange.setup == setup:
                    answers[exchange.name] = ask(client, exchange)
            if setup == "plain":
                found["metrics"] = families(client.get("/metrics").text)
                found["grown"] = grown(client)
                found["routes"] = routes(client.get("/openapi.json").json())
    assert len(answers) == len(EXCHANGES)
    return {**found, "answers": answers}


def flags(arguments: dict[str, Any]) -> list[str]:
    """Arguments of an engine by their underscored names, as its command takes them."""
    given = []
    for name, value in arguments.items():
        flag = "--" + name.replace("_", "-")
        given += [flag] if value is True else [flag, str(value)]
    return given


def routes(document: dict[str, Any]) -> list[str]:
    """Every method and path that the engine's own API document names."""
    return sorted(
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    )


def lines_of(recorded: dict[str, Any]) -> str:
    """JSON with one line for each thing recorded."""
    parts = []
    for key, value in recorded.items():
        if isinstance(value, dict) and len(value) > 3:
            inner = [f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in value.items()]
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(inner) + "\n }")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write one version's file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine-version", choices=sorted(ENGINES), required=True)
    parser.add_argument("--vllm")
    options = parser.parse_args()
    command = options.vllm or os.environ.get(ENGINES[options.engine_version])
    if not command:
        parser.error(f"give --vllm or {ENGINES[options.engine_version]}")
    origin = {
        "engine": f"vLLM {options.engine_version} on a CPU ({platform.machine()}), configs/models/tiny-llama",
        "recorded_by": "python -m tests.simulator.endpoint.record",
        "recorded_on": datetime.now(UTC).date().isoformat(),
    }
    recorded = origin | record(command)
    GOLDEN.mkdir(exist_ok=True)
    path = GOLDEN / f"{options.engine_version}.json"
    path.write_text(lines_of(recorded), encoding="utf-8")
    print(f"{len(recorded['answers'])} answers: {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
