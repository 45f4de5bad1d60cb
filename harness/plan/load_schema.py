"""The part of the JSON Schema of sweep files that is about load: its levels, searches and objective. Pure."""

from __future__ import annotations

from harness.load.slo import METRICS, PRESETS
from harness.plan.config_reader import LOADS
from harness.plan.schema_parts import DURATION, TIME, Schema, closed, integer
from harness.plan.search_reader import ARRIVALS, FINDS


def slo() -> Schema:
    """Bounds, or the name of a preset. A percentile of 100 and the like are left to the reader."""
    bound = rf"({'|'.join(METRICS)})(_p\d+(\.\d+)?)?\s*<=?\s*{TIME}"
    either = rf"({bound}|error_rate\s*<=?\s*\d+(\.\d+)?%?)"
    return {
        "description": (
            "What must hold: bounds on ttft, tpot, itl, e2e or stall (a percentile over requests; p99 where none is "
            "given) and on error_rate, with units and commas between them, as "
            "ttft_p95<=1s,tpot_p95<=60ms,error_rate<=1%; or a preset of MLPerf's."
        ),
        "type": "string",
        "anyOf": [
            {"pattern": rf"^\s*{either}\s*(,\s*{either}\s*)*,?\s*$"},
            {"enum": sorted(PRESETS)},
        ],
    }


def level() -> Schema:
    """A level of load of any kind."""

    def one_or_many(value: Schema) -> Schema:
        return {"anyOf": [value, {"type": "array", "minItems": 1, "items": value}]}

    positive = {"type": "number", "exclusiveMinimum": 0}
    rates = {"type": "array", "items": {"type": "number", "minimum": 0}}
    concurrency = {"type": "integer", "minimum": 1, "maximum": 100_000}
    return closed(
        "A level of load; a list of concurrencies, rates or stretches makes one level each.",
        {
            "concurrency": {"description": "Requests in flight.", **one_or_many(concurrency)},
            "rate": {"description": "Requests a second.", **one_or_many(positive)},
            "ramp": {
                "description": "Two rates: it goes from one to the other over the duration.",
                **rates,
                "minItems": 2,
                "maxItems": 2,
            },
            "steps": {
                "description": "Rates, each for an equal part of the duration.",
                **rates,
                "minItems": 1,
            },
            "trace": {"description": "Replay the times that the prompts' trace has.", "const": True},
            "arrivals": {"description": "How requests at a rate are spread.", "enum": list(ARRIVALS)},
            "burstiness": {
                "description": "Shape of gamma arrivals; 1 is Poisson, less is burstier.",
                **positive,
            },
            "stretch": {
                "description": "Factor on a trace's times; 2 is half speed.",
                **one_or_many(positive),
            },
            "max-in-flight": integer(
                "Hold an open loop's requests back above so many; told in the report.", minimum=1
            ),
            "duration": DURATION,
            "requests": integer(
                "How many requests (of conversations: how many of them), instead of a duration.", minimum=1
            ),
            "warmup": DURATION,
        },
        allOf=[{"oneOf": [{"required": [load]} for load in LOADS]}, *_ends()],
    )


def _ends() -> list[Schema]:
    """How a level ends: a trace may do so by itself, rates that change need a duration for it."""
    both: Schema = {"required": ["duration", "requests"]}
    one: Schema = {"oneOf": [{"required": ["duration"]}, {"required": ["requests"]}]}
    changing: Schema = {"anyOf": [{"required": ["ramp"]}, {"required": ["steps"]}]}
    return [
        {"if": {"required": ["trace"]}, "then": {"not": both}, "else": one},
        {"if": changing, "then": {"required": ["duration"]}},
    ]


def search() -> Schema:
    """A search in the place of a level."""
    positive = {"type": "number", "exclusiveMinimum": 0}
    return closed(
        "A search: the highest rate that keeps the slo, or the fewest users near the best throughput.",
        {
            "find": {"description": "What to look for.", "enum": list(FINDS)},
            "from": {"description": "The first step: requests a second, or users.  [1]", **positive},
            "steps": integer("The most steps to take.  [16]", minimum=2, maximum=64),
            "arrivals": {"description": "How requests at a rate are spread.", "enum": list(ARRIVALS)},
            "burstiness": {"description": "Shape of gamma arrivals.", **positive},
            "duration": DURATION,
            "requests": integer("How many requests a step, instead of a duration.", minimum=1),
            "warmup": DURATION,
        },
        required=["find"],
        oneOf=[{"required": ["duration"]}, {"required": ["requests"]}],
    )
