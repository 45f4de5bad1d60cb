"""Record what a real vLLM's configuration code says of the start-up lists.

    python tests/oracle/record_startup.py --engine-version 0.15.1 --python VENV/bin/python --oracle oracle.py OUT

The oracle is a program that reads ``{"argv", "prefix"}`` JSON lines, builds vLLM's configuration for each list on
pretended GPUs (``--gpus --gpu-mem --gpu-cap --gpu-name``) and answers one JSON line each. ``OUT`` is a jsonl.xz file of
``[parameters, model, gpu_type, gpu_count, origin, verdict, text, derived]``; verdict is ``ok``, ``parse`` or
``startup``, derived ``[max_model_len, max_num_batched_tokens, max_num_seqs]`` of an accepted list. Files of several
runs (other ``--seed``, other models) may be put together. Give each version a ``VLLM_CACHE_ROOT`` of its own.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from startup_lists import GPUS, Case, alone, handwritten, random_lists

MODELS = Path(__file__).parent / "models"
# Refusals that come from what the recording machine lacks (a library, the model hub), not from the list: left out.
ENVIRONMENT = (
    "Cannot find an appropriate cached snapshot",
    "Invalid repository ID or local directory",
    "failed to be inspected",
    "expected str, bytes or os.PathLike object",
    "has no attribute 'rms_norm'",
    "No module named 'torchvision'",
    "KeyError: 'RANK'",
)
Record = tuple[tuple[str, ...], str, str, int, str, str, str, "list[int] | None"]


def main() -> None:
    """Generate, ask, write."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--python", required=True)
    options.add_argument("--oracle", required=True)
    options.add_argument("--random", type=int, default=1500)
    options.add_argument("--seed", type=int, default=20)
    options.add_argument("--engine-version", required=True)
    options.add_argument("--kinds", default="hand,alone,random", help="which lists, comma-separated")
    options.add_argument("out", type=Path)
    chosen = options.parse_args()
    models = tuple(sorted(path.stem for path in MODELS.glob("*.json")))
    kinds = chosen.kinds.split(",")
    cases = list(dict.fromkeys(handwritten())) if "hand" in kinds else []
    cases += alone(chosen.engine_version) if "alone" in kinds else []
    if "random" in kinds:
        cases += random_lists(seed=chosen.seed, count=chosen.random, models=models)
    with tempfile.TemporaryDirectory() as scratch:
        for model in models:
            (Path(scratch) / model).mkdir()
            shutil.copy(MODELS / f"{model}.json", Path(scratch) / model / "config.json")
        records = record(cases, command=[chosen.python, chosen.oracle], scratch=Path(scratch))
    records = [line for line in records if not any(sign in line[6] for sign in ENVIRONMENT)]
    lines = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in records)
    chosen.out.write_bytes(lzma.compress(lines.encode(), preset=9))
    verdicts = [line[5] for line in records]
    print({verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}, file=sys.stderr)


def record(cases: Iterable[Case], *, command: list[str], scratch: Path) -> list[Record]:
    """The verdicts, in the cases' order; one process of the oracle per GPU family and count."""
    groups: dict[tuple[str, int], list[tuple[int, Case]]] = defaultdict(list)
    for place, case in enumerate(cases):
        groups[case.gpu_type, case.gpu_count].append((place, case))
    found: dict[int, Record] = {}
    for (gpu_type, gpu_count), members in groups.items():
        capability, memory_gib, name = GPUS[gpu_type]
        settings = [
            "--stage2",
            "--gpus",
            str(gpu_count),
            "--gpu-mem",
            str(memory_gib),
            "--gpu-cap",
            capability,
        ]
        asked = "".join(
            json.dumps({"argv": case.parameters, "prefix": [str(scratch / case.model)]}) + "\n"
            for _, case in members
        )
        answer = subprocess.run(
            [*command, *settings, "--gpu-name", name],
            input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, cwd=scratch,
        ).stdout.splitlines()  # fmt: skip
        assert len(answer) == len(members), f"{len(answer)} answers to {len(members)} lists"
        for (place, case), line in zip(members, answer, strict=True):
            found[place] = condense(case, json.loads(line), scratch=scratch)
    return [found[place] for place in sorted(found)]


def condense(case: Case, answer: dict[str, object], *, scratch: Path) -> Record:
    """A record of one answer; paths of the recording machine are taken out of the text."""
    verdict, text, derived = "parse", str(answer["error"]), None
    if answer["ok"]:
        stage = answer["stage2"]
        assert isinstance(stage, dict)
        verdict = "ok" if stage["ok"] else "startup"
        text = "" if stage["ok"] else f"{stage['kind']}: {stage['error']}"
        if stage["ok"]:
            derived = [
                stage["derived"][key] for key in ("max_model_len", "max_num_batched_tokens", "max_num_seqs")
            ]
    text = text.split("[type=")[0].replace(str(scratch), "MODELS")
    text = re.sub(r"/\S*/site-packages", "SITE", re.sub(r"\s+", " ", text))[:200].strip()
    return (case.parameters, case.model, case.gpu_type, case.gpu_count, case.origin, verdict, text, derived)


if __name__ == "__main__":
    main()
