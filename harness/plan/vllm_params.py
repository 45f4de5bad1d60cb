"""What the files of ``vllm bench sweep serve`` mean: its combinations, and the command line each makes. Pure.

A params file holds a list of combinations, or a mapping of them by name. A combination overrides a command: a key
found in it is replaced where it stands, else appended; keys are written with ``-`` up to their first dot, ``true``
is ``--key``, ``false`` is ``--no-key``, below a dot ``=true`` and ``=false``; a mapping becomes JSON, anything else one
word. Learned from vLLM 0.15.1; ``tests/plan/test_vllm_peer.py`` asks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from harness.errors import ConfigError

NAME = "_benchmark_name"

Combination = Mapping[str, object]
Links = Sequence[tuple[str, str]]


def combinations(document: object, source: str) -> list[Combination]:
    """The combinations in a parsed params file; ConfigError says what is not one."""
    if isinstance(document, Mapping):
        document = [{NAME: name, **_mapping(params, source, repr(name))} for name, params in document.items()]
    if not isinstance(document, list):
        raise ConfigError(
            f"{source}: expected a list of parameter combinations, or a mapping of them by name"
        )
    found = [_mapping(item, source, f"item {place}") for place, item in enumerate(document)]
    names = [str(item[NAME]) for item in found if NAME in item]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{source}: two combinations are called '{twice}'")
    return found


def _mapping(item: object, source: str, place: str) -> Combination:
    if not isinstance(item, Mapping) or not all(isinstance(key, str) for key in item):
        raise ConfigError(f"{source}: {place} is not a mapping of parameters to values")
    return item


def name_of(combination: Combination) -> str:
    """Its own name, else its parameters in words; ``default`` for one that changes nothing."""
    if NAME in combination:
        return str(combination[NAME])
    return ",".join(f"{key}={value}" for key, value in combination.items()) or "default"


def links_of(text: str) -> list[tuple[str, str]]:
    """The pairs of ``--link-vars``: a server's parameter and the benchmark's that it goes with."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        serve, equals, bench = (piece.strip() for piece in part.partition("="))
        if not (serve and equals and bench):
            raise ConfigError(f"--link-vars takes SERVE=BENCH pairs, not '{part}'")
        pairs.append((serve, bench))
    return pairs


def pairs(
    serves: Sequence[Combination], benches: Sequence[Combination], links: Links
) -> Iterator[tuple[int, int]]:
    """Numbers of the combinations that are run together: all, or those whose linked values are equal."""
    for s, serve in enumerate(serves):
        for b, bench in enumerate(benches):
            if all(x in serve and y in bench and serve[x] == bench[y] for x, y in links):
                yield s, b


def applied(command: Sequence[str], combination: Combination) -> list[str]:
    """The command with a combination's values in it."""
    words = list(command)
    for key, value in combination.items():
        if key == NAME:
            continue
        written = _written(key, json.dumps(value) if isinstance(value, dict) else value)
        place = next((words.index(flag) for flag in _spellings(key) if flag in words), None)
        if place is None:
            words += written
        elif len(written) == 2 and place + 1 == len(words):
            raise ConfigError(f"'{words[place]}' ends the command and has no value to replace")
        else:
            words[place : place + len(written)] = written
    return words


def _written(key: str, value: object) -> list[str]:
    if isinstance(value, bool) and "." in key:
        return [f"{flag_of(key)}={str(value).lower()}"]
    if isinstance(value, bool):
        return [flag_of(key if value else f"no-{key}")]
    return [flag_of(key), str(value)]


def flag_of(key: str) -> str:
    """The key as vLLM writes it on a command line."""
    return _spellings(key)[0]


def _spellings(key: str) -> list[str]:
    """Flags that stand for a key, as they are looked for; what follows the first dot is left as it is."""
    head, dot, rest = key.partition(".")
    return [f"--{head.replace(*change)}{dot}{rest}" for change in (("_", "-"), ("-", "_"), ("", ""))]
