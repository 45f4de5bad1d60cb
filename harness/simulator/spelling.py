"""How the simulated engine reads one argument: underscores, dotted JSON keys, numbers with suffixes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

DECIMAL_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY_SUFFIXES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
HUMAN_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kKmMgGtT])")


class SpellingError(Exception):
    """The engine ends with a traceback on this list; the text is its last line."""


def rewrite(items: Sequence[str], *, version: str) -> list[str]:
    """The items as the argument parser sees them: dashes for underscores, dotted keys gathered into JSON at the end."""
    queue = _levels([_dashed(item) for item in items], version=version)
    plain: list[str] = []
    gathered: dict[str, dict[str, Any]] = {}
    position = 0
    while position < len(queue):
        item = queue[position]
        position += 1
        key, equals, value = item.partition("=")
        if not item.startswith("-") or "." not in key:
            plain.append(item)
            continue
        if not equals:
            if position >= len(queue):
                raise SpellingError("IndexError: list index out of range")
            value = queue[position]
            position += 1
        flag, _, path = key.partition(".")
        _place(gathered.setdefault(flag, {}), path, value)
    for flag, tree in gathered.items():
        plain += [flag, json.dumps(tree)]
    return plain


def _dashed(item: str) -> str:
    if not item.startswith("--"):
        return item
    cut = min((item.index(mark) for mark in ".=" if mark in item), default=len(item))
    return item[:cut].replace("_", "-") + item[cut:]


def _levels(items: list[str], *, version: str) -> list[str]:
    """``-O3``, ``-O=3`` and ``-O 3`` as ``--optimization-level``; ``-O.key`` belongs to the compilation config
    in 0.12.0 only.
    """
    found: list[str] = []
    position = 0
    while position < len(items):
        item = items[position]
        position += 1
        if item == "-O" and position < len(items) and items[position] in ("0", "1", "2", "3"):
            found += ["--optimization-level", items[position]]
            position += 1
        elif item.startswith("-O.") and version == "0.12.0":
            found.append(f"--compilation-config{item[2:]}")
        elif item.startswith("-O") and len(item) > 2:
            found += ["--optimization-level", item[2:].removeprefix("=")]
        else:
            found.append(item)
    return found


def _place(tree: dict[str, Any], path: str, text: str) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            inner = tree[parent] = {}
        tree = inner
    if last.endswith("+"):
        listed = tree.setdefault(last[:-1], [])
        if isinstance(listed, list):
            listed.extend(text.split(","))
        return
    try:
        tree[last] = json.loads(text)
    except (ValueError, RecursionError):
        tree[last] = text


def human_integer(name: str, *, version: str) -> Callable[[str], int]:
    """The converter of the three flags that take ``32k``; ``auto`` for the model length from 0.15 on."""
    automatic = name == "max-model-len" and version != "0.12.0"

    def human_readable_int(text: str) -> int:
        text = text.strip()
        if automatic and text.lower() in ("auto", "-1"):
            return -1
        suffixed = HUMAN_NUMBER.fullmatch(text)
        if suffixed is None:
            return int(text)
        number, suffix = suffixed.groups()
        if suffix in "tT" and version == "0.12.0":
            raise ValueError(text)
        if suffix in DECIMAL_SUFFIXES:
            return int(float(number) * DECIMAL_SUFFIXES[suffix])
        if "." in number:
            raise ValueError(text)
        return int(number) * BINARY_SUFFIXES[suffix]

    return human_readable_int


def nullable(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """``convert``, with ``None`` and the empty text meaning null."""

    def optional_type(text: str) -> Any:
        return None if text in ("", "None") else convert(text)

    optional_type.__name__ = convert.__name__
    return optional_type


def json_value(text: str) -> Any:
    """Any JSON."""
    return json.loads(text)


def json_object(text: str) -> dict[str, Any]:
    """A JSON object."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def json_or_text(text: str) -> Any:
    """JSON where the text looks like an object, else the text."""
    stripped = text.strip()
    return json.loads(stripped) if stripped.startswith("{") and stripped.endswith("}") else text


def lora_module(text: str) -> dict[str, Any] | None:
    """``name=path``, or JSON with ``name``, ``path`` and perhaps ``base_model_name``; empty or None is nothing."""
    if text in ("", "None"):
        return None
    if "=" in text and "," not in text:
        name, path = text.split("=")
        return {"name": name, "path": path}
    module = json_object(text)
    if not {"name", "path"} <= set(module) <= {"name", "path", "base_model_name"}:
        raise ValueError("wrong fields")
    return module
