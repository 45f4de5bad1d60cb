"""The JSON Schema of sweep files, for editors that complete and check as one types. Pure.

It says what the reader checks as far as a schema can; ``harness lint`` knows more (set names, linked lengths, paths).
"""

from __future__ import annotations

from harness.plan.load_schema import level, search, slo
from harness.plan.matrix_reader import MAX_GPUS
from harness.plan.schema_parts import DURATION, Schema, closed, integer, text
from harness.plan.workload_reader import ALL_TURNS, APIS, CACHES, DISTRIBUTIONS, MOST, SHAPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def sweep_schema() -> Schema:
    """The schema of a whole sweep file."""
    return {
        "$schema": DIALECT,
        "title": "harness sweep",
        "description": "A matrix of deployments to make, load-test and compare.",
        "type": "object",
        "additionalProperties": False,
        "required": ["load"],
        "properties": {
            "name": text(
                "Name of the sweep and of its results folder.", pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
            ),
            "question": text("What the sweep is to answer; printed on top of the report."),
            "zone": text("Exoscale zone to deploy in, as ch-gva-2."),
            **{name: _axis_value(name) for name in SINGLE_AXES},
            "parameters": _items("Arguments of every cell, placed before a set's own."),
            "models": _models(),
            "matrix": _matrix(),
            "exclude": _partials("Combinations to leave out: those that agree with an entry in all it says."),
            "include": _partials("Extends the combinations it agrees with, or adds one of its own."),
            "workload": _workload(),
            "load": {
                "description": "Levels of load and searches for one, run in order on each cell.",
                "type": "array",
                "minItems": 1,
                "items": {"if": {"required": ["find"]}, "then": search(), "else": level()},
            },
            "repeats": integer("How often each cell is measured.", minimum=1, maximum=1000),
            "slo": slo(),
            "early-stop": {
                "description": "End a level once it is lost, and skip higher ones; true where there is an slo.",
                "type": "boolean",
            },
            "prune": _prune(),
            "timeouts": closed(
                "How long to wait.",
                dict.fromkeys(("ready", "operation", "delete", "request"), DURATION),
            ),
            "engines": _texts("Engine version to the vllm command to run; only with --local."),
            "engine-environment": _texts("Environment variables of local engines; only with --local."),
        },
    }


SINGLE_AXES = ("gpu-type", "gpu-count", "replicas", "engine-version", "model")
ARGUMENT: Schema = {"type": ["string", "number"]}
SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}


def _texts(description: str) -> Schema:
    return {"description": description, "type": "object", "additionalProperties": {"type": "string"}}


def _items(description: str) -> Schema:
    return {"description": description, "type": ["array", "null"], "items": ARGUMENT}


def _axis_value(name: str) -> Schema:
    if name == "gpu-count":
        return integer("GPUs per replica.", minimum=1, maximum=MAX_GPUS)
    if name == "replicas":
        return integer("Replicas of a deployment.", minimum=1)
    descriptions = {
        "gpu-type": "GPU family, as gpua5000.",
        "engine-version": 'vLLM version, in quotes: "0.15.1".',
        "model": "Hugging Face id of the model.",
        "parameters": "Name of a parameter set.",
    }
    limits = {"pattern": r"^\S+$"} if name == "model" else {"minLength": 1}
    return text(descriptions[name], **limits)


def _matrix() -> Schema:
    def one_or_many(name: str) -> Schema:
        value = _axis_value(name)
        return {"anyOf": [value, {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}]}

    axes = {name: one_or_many(name) for name in SINGLE_AXES}
    sets: Schema = {
        "description": "Parameter sets: by name, or a list of sets named by their values.",
        "anyOf": [
            {"type": "object", "additionalProperties": _parameter_set()},
            {"type": "array", "items": {"anyOf": [{"type": "array", "items": ARGUMENT}, {"type": "object"}]}},
        ],
    }
    partial = {name: _partials(f"As {name} beside the matrix.") for name in ("exclude", "include")}
    return closed(
        "The axes: every combination of their values is a cell.", {**axes, "parameters": sets, **partial}
    )


def _parameter_set() -> Schema:
    return {
        "description": "A list of arguments, or flags with a value or a list of values; link zips some of them.",
        "anyOf": [
            {"type": ["array", "null"], "items": ARGUMENT},
            {
                "type": "object",
                "properties": {"link": {"type": "array", "items": {"type": "string"}}},
                "additionalProperties": {
                    "anyOf": [SCALAR, {"type": "object"}, {"type": "array", "minItems": 1}]
                },
            },
        ],
    }


def _partials(description: str) -> Schema:
    entry = closed(
        "A partial combination.", {name: _axis_value(name) for name in (*SINGLE_AXES, "parameters")}
    )
    return {"description": description, "type": "array", "items": entry}


def _models() -> Schema:
    config = text("Path of the model's config.json, relative to this file.")
    return {
        "description": "What is known of a model, by its id.",
        "type": "object",
        "additionalProperties": closed("One model.", {"config": config}, required=["config"]),
    }


def _length(description: str) -> Schema:
    number = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST}
    count = {"type": "integer", "minimum": 1, "maximum": MOST}
    distribution = closed(
        "A distribution of counts.",
        {
            "distribution": {"enum": list(DISTRIBUTIONS)},
            "mean": number,
            "stddev": number,
            "min": count,
            "max": count,
            "values": {"description": "Observed counts.", "type": "array", "minItems": 1, "items": count},
            "weights": {
                "description": "How likely each value is.",
                "type": "array",
                "items": {"type": "number", "exclusiveMinimum": 0},
            },
            "file": text("A file with a count a line, each perhaps with a weight, relative to this file."),
        },
        required=["distribution"],
    )
    return {"description": description, "anyOf": [count, distribution]}


def _think_time() -> Schema:
    times = dict.fromkeys(("mean", "stddev", "min", "max"), DURATION)
    distribution = closed(
        "A distribution of pauses.",
        {"distribution": {"enum": list(SHAPES)}, **times},
        required=["distribution"],
    )
    description = "Pause between an answer and the next turn."
    return {"description": description, "anyOf": [*DURATION["anyOf"], distribution]}


def _workload() -> Schema:
    turns = _length(
        "Requests of a conversation, each with all that was said before; all: as many as prompts have."
    )
    return closed(
        "What is asked of each endpoint.",
        {
            "input-tokens": _length("Tokens of a prompt; in conversations, of what a turn adds."),
            "output-tokens": _length("Tokens of an answer."),
            "prompts": text("File of prompts (JSONL, ShareGPT, Mooncake trace), relative to this file."),
            "turns": {**turns, "anyOf": [*turns["anyOf"], {"const": ALL_TURNS}]},
            "think-time": _think_time(),
            "api": {"description": "Which route is asked.", "enum": list(APIS)},
            "stream": {"description": "Streamed answers; without, no TTFT.", "type": "boolean"},
            "seed": integer("Seed of prompts and arrival times.", minimum=0),
            "cache": {"description": "What prompts may find in the prefix cache.", "enum": list(CACHES)},
            "prefix-tokens": integer("Tokens that prompts of a group share.", minimum=0),
            "prefix-groups": integer("Groups of prompts that share a prefix.", minimum=1),
            "tokenizer": text(
                "A tokenizer.json or its folder, relative to this file: synthetic prompts then have exactly the wanted "
                "tokens. Needs the extra 'tokenizers'."
            ),
            "extra": {"description": "Added to every request body.", "type": "object"},
        },
        dependentRequired={"think-time": ["turns"]},
    )


def _prune() -> Schema:
    share = {"type": "string", "pattern": r"^\d+(\.\d+)?%$"}
    return closed(
        "Cells to leave out by their forecast; each GPU family keeps its best one.",
        {
            "keep": {
                "description": "Keep this share of the cells, best first: 20%.",
                "anyOf": [share, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}],
            },
            "within": {
                "description": "Keep the cells within this factor of the best predicted cost.",
                "type": "number",
                "minimum": 1,
            },
            "equivalent": {
                "description": "Leave out cells that would run the same as an earlier one.",
                "type": "boolean",
            },
        },
        minProperties=1,
        **{"not": {"required": ["keep", "within"]}},
    )
