"""Run by a real vLLM's own Python: verdicts of `vllm serve`'s parser on argument lists, one JSON line each.

Reads JSON lists of strings from standard input and writes ``{"ok": bool, "error": text or null}``. The lists follow
``serve /model``. Nothing of this project is imported here.
"""

import argparse
import contextlib
import io
import json
import os
import sys

os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
sys.argv = ["vllm", "serve"]

from vllm import platforms  # noqa: E402  (the lines above must come first)

if not platforms.current_platform.device_type:
    # Building the parser asks for a device, whatever it is; no verdict depends on it.
    from vllm.platforms.cpu import CpuPlatform

    platforms._current_platform = CpuPlatform()

from vllm.entrypoints.cli.serve import cmd_init  # noqa: E402
from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: E402


class Refused(Exception):
    """The parser would have ended the process."""


def refuse(parser: argparse.ArgumentParser, message: str) -> None:
    raise Refused(message)


def leave(parser: argparse.ArgumentParser, status: int = 0, message: "str | None" = None) -> None:
    raise Refused(f"exit with status {status}")


argparse.ArgumentParser.error = refuse
argparse.ArgumentParser.exit = leave


def build() -> FlexibleArgumentParser:
    """The `vllm` parser with its `serve` command."""
    parser = FlexibleArgumentParser(prog="vllm")
    parser.add_argument("-v", "--version", action="version", version="0")
    commands = parser.add_subparsers(dest="subparser")
    for command in cmd_init():
        command.subparser_init(commands)
    return parser


def verdict(parser: FlexibleArgumentParser, arguments: "list[str]") -> "str | None":
    """None when the list is accepted, else what the parser says."""
    sink = io.StringIO()
    try:
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            parser.parse_args(["serve", "/model", *arguments])
    except Refused as refusal:
        return str(refusal)
    except Exception as error:  # noqa: BLE001  (a traceback in real life; no parser says what it raises)
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    """Answers every line, then ends without waiting for the engine's threads."""
    parser = build()
    for line in sys.stdin:
        error = verdict(parser, json.loads(line))
        answers.write(json.dumps({"ok": error is None, "error": error}) + "\n")
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
