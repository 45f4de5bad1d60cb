"""Records the real parser's verdicts on generated lists: the corpus that ``test_agreement.py`` reads.

    python tests/oracle/record.py --engine-version 0.15.1 --python /path/to/vllm-0.15.1/bin/python \
        --seed 1 --count 24000 --out tests/oracle/corpus-0.15.1.jsonl.xz

``--python`` (or HARNESS_PARSER_0_15_1) is the interpreter of an installed vLLM of that version. With ``--compare``
nothing is written: the disagreements with our reading are printed instead, and the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

from generate import generate

from harness.params.argv import read
from harness.params.snapshots import known_versions, load_grammar

MAX_ERROR = 160
REAL_PARSER = Path(__file__).with_name("real_parser.py")


def verdicts(python: str, lists: list[list[str]]) -> list[str | None]:
    """The real parser's word on each list: None when it is accepted."""
    lines = "".join(json.dumps(arguments) + "\n" for arguments in lists)
    done = subprocess.run(
        [python, str(REAL_PARSER)], input=lines, capture_output=True, text=True, check=False
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(lists):
        sys.exit(
            f"{len(lists)} lists, {len(answers)} verdicts; the parser's last words: {done.stderr[-500:]}"
        )
    return [None if answer["ok"] else answer["error"] or "refused" for answer in answers]


def main() -> int:
    """Writes a corpus, or compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine-version", choices=known_versions(), required=True)
    parser.add_argument("--python")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=24_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    variable = "HARNESS_PARSER_" + options.engine_version.replace(".", "_")
    python = options.python or os.environ.get(variable)
    if not python or not (options.out or options.compare):
        parser.error(f"give --python or {variable}, and --out or --compare")
    grammar = load_grammar(options.engine_version)
    lists = list(generate(grammar, seed=options.seed, count=options.count))
    errors = verdicts(python, lists)
    if options.compare:
        return compare(lists, errors, options.engine_version)
    with lzma.open(options.out, "wt", encoding="utf-8", preset=9) as corpus:
        for arguments, error in zip(lists, errors, strict=True):
            corpus.write(json.dumps([arguments, error and error[:MAX_ERROR]]) + "\n")
    print(f"{len(lists)} lists, {sum(error is None for error in errors)} accepted: {options.out}")
    return 0


def compare(lists: list[list[str]], errors: list[str | None], version: str) -> int:
    """Prints each list that our reading judges otherwise."""
    grammar = load_grammar(version)
    disagreements = 0
    for arguments, error in zip(lists, errors, strict=True):
        reading = read(arguments, grammar)
        if reading.accepted != (error is None):
            disagreements += 1
            print(
                json.dumps({"argv": arguments, "engine": error, "ours": [p.kind for p in reading.problems]})
            )
    print(f"{len(lists)} lists, {disagreements} disagreements with vLLM {version}")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
