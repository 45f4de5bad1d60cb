"""Reads the body of a create-deployment request (or what the API answers) as a list to judge. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from harness.plan.deployment_body import check_body
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span
from harness.plan.reader import Reader
from harness.plan.spans import LocatedText, Span
from harness.plan.targets import Target

PARAMETERS = "inference-engine-parameters"
VERSION = "inference-engine-version"


class Facts(TypedDict, total=False):
    """What may stand beside a list: the fields of ``Target`` that say where it will run."""

    engine_version: str
    gpu_type: str
    gpu_place: Span
    gpu_count: int
    replicas: int
    model: str


def is_deployment(node: Node) -> bool:
    """True for a mapping with engine parameters or an engine version, and for a mapping that lists such."""
    if not isinstance(node, Entries):
        return False
    if _get(node, PARAMETERS) is not None or _get(node, VERSION) is not None:
        return True
    listed = node.get("deployments")
    return isinstance(listed, Items) and any(is_deployment(item) for item in listed.items)


def targets_in_deployment(reader: Reader, node: Node) -> Iterator[Target]:
    """The list of one deployment, or of each in a mapping's ``deployments``."""
    if not isinstance(node, Entries):
        return
    listed = node.get("deployments")
    if isinstance(listed, Items):
        for item in listed.items:
            yield from targets_in_deployment(reader, item)
        return
    key = next((key for key, _ in node.entries if _dashed(key.text) == PARAMETERS), None)
    value = _get(node, PARAMETERS)
    check_body(reader, node)
    place = node_span(key) if key is not None else (node.start, node.start + 1)
    yield Target(reader.source, _items(reader, value), place, **facts_beside(node))


def _items(reader: Reader, value: Node | None) -> tuple[LocatedText, ...]:
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return ()
    if not isinstance(value, Items):
        hint = 'one text per item: ["--max-model-len=4096", "--max-num-seqs=64"]'
        reader.wrong(value, PARAMETERS, "a list of texts", hint=hint)
        return ()
    return literal_items(reader, value)


def literal_items(reader: Reader, node: Items) -> tuple[LocatedText, ...]:
    """The items of a list as texts; what is no text is reported, for the API takes texts only."""
    items = []
    for item in node.items:
        reader.text(item, "an argument")
        if isinstance(item, Scalar):
            items.append(item.located(reader.source))
    return tuple(items)


def facts_beside(node: Entries) -> Facts:
    """Engine version, GPUs, replicas and model as the mapping gives them; what has another type is left out."""
    facts = Facts()
    version = _text(_get(node, VERSION)) or _text(_get(node, "engine-version"))
    if version is not None:
        facts["engine_version"] = version
    family = _get(node, "gpu-type")
    gpu_type = _text(family)
    if family is not None and gpu_type is not None:
        facts["gpu_type"], facts["gpu_place"] = gpu_type, node_span(family)
    gpu_count, replicas = _number(_get(node, "gpu-count")), _number(_get(node, "replicas"))
    if gpu_count is not None:
        facts["gpu_count"] = gpu_count
    if replicas is not None:
        facts["replicas"] = replicas
    model = _get(node, "model")
    name = _text(model.get("name")) if isinstance(model, Entries) else _text(model)
    if name is not None:
        facts["model"] = name
    return facts


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def _get(node: Entries, name: str) -> Node | None:
    return next((value for key, value in node.entries if _dashed(key.text) == name), None)


def _text(node: Node | None) -> str | None:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) and node.value else None


def _number(node: Node | None) -> int | None:
    value = node.value if isinstance(node, Scalar) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
