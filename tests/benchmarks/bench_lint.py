"""The linter: one file from a cold start, 10,000 lists in a batch, a sweep of 10,000 cells."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CONFIG_JSON = CONFIGS / "models" / "qwen2.5-7b-instruct" / "config.json"
CELLS = 10_000


def main() -> None:
    """Prints the best of several runs beside the target, and beside an empty Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sweep.yaml").write_text(sweep())
        (folder / "lists.jsonl").write_text(batch())
        empty = best([sys.executable, "-c", "pass"], runs=9)
        cold = best([sys.executable, "-m", "harness", "lint", str(CONFIGS / "demo.yaml")], runs=9)
        lists = best(
            [sys.executable, "-m", "harness", "lint", "--batch", str(folder / "lists.jsonl")], runs=3
        )
        cells = best([sys.executable, "-m", "harness", "lint", str(folder / "sweep.yaml")], runs=3)
    print(f"python -c pass                         {empty:6.3f} s")
    print(f"harness lint configs/demo.yaml, cold   {cold:6.3f} s   (target 0.25 s where python takes 0.02 s)")
    print(f"harness lint --batch, 10,000 lists     {lists:6.3f} s   (target 2 s)")
    print(
        f"harness lint, a sweep of 10,000 cells  {cells:6.3f} s   (target 3 s; every list another one, model known)"
    )


def best(command: Sequence[str], *, runs: int) -> float:
    """Shortest wall time of several runs, in seconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - started)
    return min(times)


def sweep() -> str:
    """4 GPU counts × 2 families × 2 versions × 625 parameter sets."""
    values = ", ".join(str(number) for number in range(1, 626))
    return (
        f"model: m/m\nmodels: {{m/m: {{config: {json.dumps(str(CONFIG_JSON))}}}}}\nparameters: [--max-model-len=4096]\n"
        "matrix:\n  gpu-type: [gpua5000, gpu3]\n  gpu-count: [1, 2, 4, 8]\n  engine-version: ['0.12.0', '0.15.1']\n"
        f"  parameters: {{grid: {{max-num-seqs: [{values}], kv-cache-dtype: fp8}}}}\n"
        "load: [{concurrency: 1, requests: 1}]\n"
    )


def batch() -> str:
    """Lists of three parameters, all different."""
    lines = [
        {
            "id": number,
            "engine_version": ("0.12.0", "0.15.1")[number % 2],
            "parameters": [
                f"--max-model-len={1024 + number}",
                "--max-num-seqs",
                str(1 + number % 200),
                "-tp=1",
            ],
            "gpu_type": "gpua5000",
            "gpu_count": 1,
        }
        for number in range(CELLS)
    ]
    return "\n".join(map(json.dumps, lines))


if __name__ == "__main__":
    main()
