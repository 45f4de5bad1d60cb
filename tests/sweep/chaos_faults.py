"""The faults a chaos zone draws from: some strike one cell's deployments, some anybody's call on any route."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

Rule = dict[str, Any]

# What may happen to one cell's deployment and to the calls about it.
OF_A_CELL: tuple[Rule, ...] = (
    {"fault": "rate-limited", "retry_after_s": 0},
    {"fault": "server-error", "status": 500},
    {"fault": "server-error", "status": 502},
    {"fault": "server-error", "operation": "create-deployment", "status": 503},
    {"fault": "server-error", "operation": "delete-deployment", "status": 500, "times": 3},
    {"fault": "reset-before"},
    {"fault": "reset-after"},
    {"fault": "reset-after", "operation": "create-deployment"},
    {"fault": "reset-after", "operation": "delete-deployment"},
    {"fault": "error-after", "operation": "create-deployment"},
    {"fault": "error-after", "operation": "delete-deployment"},
    {"fault": "forbidden", "times": 2},
    {"fault": "clock-skew", "seconds": 900, "times": 1},
    {"fault": "busy", "operation": "delete-deployment", "times": 4},
    {"fault": "no-capacity", "operation": "create-deployment", "times": 1},
    {"fault": "no-reference"},
    {"fault": "unlisted", "seconds": 100},
    {"fault": "no-capacity", "operation": "scale-deployment", "times": 1},
    {"fault": "operation-failed", "operation": "scale-deployment", "times": 2},
    {"fault": "reset-after", "operation": "scale-deployment", "times": 2},
    {"fault": "operation-unknown", "seconds": 100},
    {"fault": "operation-stuck", "operation": "create-deployment", "seconds": 200},
    {"fault": "operation-stuck", "operation": "delete-deployment", "seconds": 200, "times": 2},
    {"fault": "operation-failed", "operation": "create-deployment"},
    {"fault": "operation-failed", "operation": "delete-deployment", "times": 3},
    {"fault": "operation-failed", "operation": "update-deployment"},
    {"fault": "operation-stuck", "operation": "update-deployment", "seconds": 200},
    {"fault": "reset-after", "operation": "update-deployment"},
    {"fault": "busy", "operation": "update-deployment", "times": 2},
    {"fault": "deployment-error"},
    {"fault": "deployment-error", "message": "no such model on the hub"},
    {"fault": "deployment-stuck", "operation": "creating"},
    {"fault": "deployment-stuck", "operation": "deploying"},
    {"fault": "slow-start", "factor": 6},
    {"fault": "unknown-state", "state": "rebalancing"},
    {"fault": "key-late", "seconds": 200},
    {"fault": "url-unavailable", "seconds": 200},
    {"fault": "parameters-dropped"},
    {"fault": "html", "times": 2},
)
# What may happen to any call, those about no deployment (lists, operations) included.
OF_ANY_CALL: tuple[Rule, ...] = (
    {"fault": "rate-limited", "retry_after_s": 0},
    {"fault": "server-error", "status": 500},
    {"fault": "server-error", "status": 502},
    {"fault": "server-error", "status": 503},
    {"fault": "reset-before"},
    {"fault": "reset-after"},
    {"fault": "slow-answer", "seconds": 100},
)


# Faults of a life cycle strike once a deployment, not once a call: they need higher odds to be seen.
PER_CALL = ("rate-limited", "server-error", "reset-before", "reset-after")


def cell_rules(draw: random.Random, cell_ids: Sequence[str]) -> list[Rule]:
    """Two to five rules, each for the deployments of one of at most two cells of a sweep."""
    struck = draw.sample(cell_ids, min(2, len(cell_ids)))
    rules = []
    for rule in draw.sample(OF_A_CELL, draw.randint(2, 5)):
        is_rare = rule["fault"] in PER_CALL and "times" not in rule
        odds = draw.choice((0.05, 0.2, 0.5) if is_rare else (0.2, 0.5, 1.0))
        rules.append(rule | {"subject": f"harness-*-{draw.choice(struck)}-r*", "probability": odds})
    return rules


def zone_rules(draw: random.Random) -> list[Rule]:
    """A little of everything on every route."""
    return [rule | {"probability": draw.choice((0.005, 0.01, 0.03))} for rule in OF_ANY_CALL]
