"""What the simulated platform and engine make of a parameter list: a parser of its own, built from the help document.

Deliberately not ``harness.params``: the simulator must be able to disagree with the linter. The standard
library's argparse does the work, as it does in vLLM; what the help document cannot say is in the tables below.
What stands inside the JSON of a configuration object (``--compilation-config`` and its like) is not checked.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NoReturn

from harness.simulator import spelling


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HUMAN_INTEGERS = frozenset({"max-model-len", "max-num-batched-tokens", "kv-cache-memory-bytes"})
UNENFORCED = frozenset({"tokenizer-mode", "config-format", "model-impl", "distributed-executor-backend"})
MANY = _words(
    "api-key lora-modules allowed-media-domains served-model-name logits-processors ignore-patterns"
    " collect-detailed-traces cudagraph-capture-sizes cuda-graph-sizes"
)
NULLABLE = _words(
    "host uds chat-template ssl-keyfile ssl-certfile ssl-ca-certs ssl-ciphers root-path tool-call-parser"
    " tool-server log-config-file max-log-len hf-config-path revision code-revision tokenizer-revision"
    " quantization pooler-config logits-processor-pattern override-attention-dtype io-processor-plugin"
    " download-dir distributed-executor-backend max-parallel-loading-workers kv-cache-memory-bytes"
    " num-gpu-blocks-override mamba-block-size kv-offloading-size mm-processor-kwargs mm-encoder-attn-backend"
    " video-pruning-rate max-cpu-loras default-mm-loras show-hidden-metrics-for-version otlp-traces-endpoint"
    " cudagraph-capture-sizes max-cudagraph-capture-size speculative-config kv-transfer-config"
    " kv-events-config ec-transfer-config attention-backend"
)
JSON_OBJECTS = _words(
    "compilation-config structured-outputs-config eplb-config pooler-config kv-transfer-config"
    " kv-events-config ec-transfer-config attention-config profiler-config"
)
JSON_VALUES = _words(
    "override-generation-config limit-mm-per-prompt media-io-kwargs mm-processor-kwargs default-mm-loras"
    " speculative-config allowed-origins allowed-methods allowed-headers default-chat-template-kwargs"
)
JSON_OR_TEXT = frozenset(
    {"hf-overrides", "model-loader-extra-config", "pt-load-map-location", "additional-config"}
)
# "None" leaves the choice to the engine.
_SWITCH = {"True": True, "False": False}
WORD_PARSERS = {"integer": "int", "int": "int", "number": "float", "float": "float"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """``unknown`` names what the platform refuses at once; ``failure`` is the engine's own last line when it
    exits on its arguments; ``arguments`` holds every parameter by its underscored name when neither happened.
    """

    unknown: tuple[str, ...] = ()
    failure: str | None = None
    arguments: argparse.Namespace | None = None


class Judge:
    """Judges parameter lists for one engine version. Building one takes milliseconds; judging does no I/O."""

    def __init__(self, version: str, document: Mapping[str, Any]) -> None:
        self.version = version
        self._names = _build(version, document, strict=False)
        self._values = _build(version, document, strict=True)

    def judge(self, parameters: Sequence[str]) -> Judgement:
        """What becomes of ``parameters``; never raises."""
        try:
            items = spelling.rewrite(parameters, version=self.version) if list(parameters) != ["--"] else []
        except spelling.SpellingError as error:
            return Judgement(failure=str(error))
        strays = self._strays(items)
        unknown = tuple(_name_of(stray) for stray in strays if stray.startswith("-") and stray != "--")
        if unknown:
            return Judgement(unknown=unknown)
        try:
            arguments, rest = self._values.parse_known_args(items)
        except _Refused as error:
            return Judgement(failure=f"vllm serve: error: {error}")
        except _Exited:
            return Judgement(failure="vllm serve printed its help and exited with code 0")
        except (ValueError, OverflowError, RecursionError) as error:
            return Judgement(failure=f"{type(error).__name__}: {error}")
        if getattr(arguments, "model", None) is not None:
            rest = ["/model", *rest]  # the platform has already given the model as the positional argument
        if rest:
            return Judgement(failure=f"vllm: error: unrecognized arguments: {' '.join(rest)}")
        if getattr(arguments, "config", None):
            return Judgement(failure=f"FileNotFoundError: [Errno 2] No such file: {arguments.config!r}")
        return Judgement(arguments=arguments)

    def _strays(self, items: list[str]) -> list[str]:
        try:
            return self._names.parse_known_args(items)[1]
        except (_Refused, _Exited):
            return []


def packaged_documents() -> dict[str, dict[str, Any]]:
    """The help documents that ship with the package, by engine version."""
    folder = resources.files("harness.params").joinpath("data")
    found = {}
    for entry in folder.iterdir():
        if entry.name.startswith("help-") and entry.name.endswith(".json"):
            found[entry.name[len("help-") : -len(".json")]] = json.loads(entry.read_text(encoding="utf-8"))
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


class _Refused(Exception):
    """The parser's own error message."""


class _Exited(Exception):
    """The parser printed something and would have ended the process well."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Refused(message)


class _Help(argparse.Action):
    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise _Exited


def _build(version: str, document: Mapping[str, Any], *, strict: bool) -> argparse.ArgumentParser:
    parser = _Parser(prog="vllm serve", add_help=False)
    parser.add_argument("-h", "--help", nargs=0, action=_Help)
    for entry in document.get("parameters", []):
        flags = [flag for flag in entry.get("flags", []) if flag not in ("-h", "--help")]
        if flags:
            _add(parser, entry, flags, version=version, strict=strict)
    return parser


def _add(
    parser: argparse.ArgumentParser,
    entry: Mapping[str, Any],
    flags: list[str],
    *,
    version: str,
    strict: bool,
) -> None:
    name = str(entry.get("name", ""))
    dest = name.replace("-", "_")
    if entry.get("type") in ("boolean", "bool"):
        positive = [flag for flag in flags if not flag.startswith("--no-") or flag == f"--{name}"]
        optional = len(positive) < len(flags)
        action: Any = argparse.BooleanOptionalAction if optional else "store_true"
        parser.add_argument(
            *positive, dest=dest, action=action, default=_SWITCH.get(str(entry.get("default")))
        )
        return
    options: dict[str, Any] = {"dest": dest, "default": None}
    if name in MANY:
        options["nargs"] = "+"
    elif name == "hf-token":
        options.update(nargs="?", const=True)
    if name == "middleware":
        options.update(action="append")
    if strict:
        options.update(_value_options(name, entry, version=version))
    parser.add_argument(*flags, **options)


def _value_options(name: str, entry: Mapping[str, Any], *, version: str) -> dict[str, Any]:
    kind = entry.get("type")
    allowed = entry.get("allowed-values") or []
    if kind == "enum" and allowed and name not in UNENFORCED:
        values = [value for value in allowed if value != "None" or name in NULLABLE]
        if all(value.isdigit() for value in values):
            return {"type": int, "choices": [int(value) for value in values]}
        return {"choices": values}
    convert: Any = None
    if name in HUMAN_INTEGERS:
        convert = spelling.human_integer(name, version=version)
    elif name in ("cudagraph-capture-sizes", "cuda-graph-sizes") or WORD_PARSERS.get(str(kind)) == "int":
        convert = int
    elif WORD_PARSERS.get(str(kind)) == "float":
        convert = float
    elif name == "lora-modules":
        convert = spelling.lora_module
    elif name in JSON_OBJECTS:
        convert = spelling.json_object
    elif name in JSON_VALUES:
        convert = spelling.json_value
    elif name in JSON_OR_TEXT:
        convert = spelling.json_or_text
    if convert is None:
        return {}
    return {"type": spelling.nullable(convert) if name in NULLABLE else convert}


def _name_of(stray: str) -> str:
    return stray.lstrip("-").partition("=")[0]
