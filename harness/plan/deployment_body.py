"""Checks the body of a create-deployment request: keys, types, names. Pure.

The rules of the platform judge the numbers and the GPU family. A key that is spelt almost like one of the API's is an
error; another unknown one is a warning, for the API grows. What the exo command prints (underscores) has keys of its
own and is not a request, so only its types are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.plan.findings import nearest
from harness.plan.nodes import Entries, Node, Scalar, shorten
from harness.plan.reader import Reader

NEEDED = ("name", "model", "gpu-type", "gpu-count", "replicas")
KEYS = (*NEEDED, "inference-engine-version", "inference-engine-parameters", "product-name")
# What get-deployment answers beside them.
ANSWERED = (
    "id", "state", "state-details", "service-level", "deployment-url", "visibility", "created-at", "updated-at",
)  # fmt: skip
MODEL_KEYS = ("name", "id")
# By these a body is a create request; one without them changes a deployment that is there.
CREATING = ("model", "gpu-type", "gpu-count", "replicas")


def check_body(reader: Reader, body: Entries) -> None:
    """Reports what the API would refuse or pass over; null counts as absent."""
    is_printed = any("_" in key.text for key, _ in body.entries)
    known: dict[str, Node] = {}
    meant: set[str] = set()
    for key, value in body.entries:
        name = key.text.replace("_", "-") if is_printed else key.text
        if name in (*KEYS, *ANSWERED):
            if not (isinstance(value, Scalar) and value.value is None):
                known[name] = value
        elif not is_printed and (near := _unknown(reader, key, KEYS, "create-deployment")) is not None:
            meant.add(near)
    for name, check in CHECKS.items():
        if name in known and not (name == "model" and is_printed):
            check(reader, known[name], name)
    lacking = [name for name in NEEDED if name not in known and name not in meant]
    is_request = not is_printed and known.keys().isdisjoint(ANSWERED)
    if is_request and lacking and not known.keys().isdisjoint(CREATING):
        first = body.entries[0][0]
        reader.findings.warning(
            "missing", (first.start, first.end), f"create-deployment also needs {', '.join(lacking)}"
        )


def _unknown(reader: Reader, key: Scalar, known: tuple[str, ...], what: str) -> str | None:
    """Reports a key; the known one that was likely meant, if there is one."""
    message = f"{what} has no key {shorten(key.text)!r}"
    span = (key.start, key.end)
    near = nearest(key.text, known)
    if near is not None:
        reader.findings.error("unknown-key", span, message, note=f"did you mean {near!r}?")
    else:
        reader.findings.warning("unknown-key", span, message, note=f"one of: {', '.join(known)}")
    return near


def _text(reader: Reader, node: Node, name: str) -> None:
    text = reader.text(node, name)
    if text is not None and not text.strip():
        reader.error("value", node, f"{name} is empty")


def _count(reader: Reader, node: Node, name: str) -> None:
    reader.integer(node, name)


def _model(reader: Reader, node: Node, name: str) -> None:
    """The API wants a mapping; a model's name has an owner and no white space."""
    if not isinstance(node, Entries):
        text = node.text if isinstance(node, Scalar) else "owner/model"
        reader.wrong(node, name, "a mapping", hint=f'{{"name": "{shorten(text)}"}}')
        return
    named = False
    for key, value in node.entries:
        if key.text not in MODEL_KEYS:
            named = _unknown(reader, key, MODEL_KEYS, "model") is not None or named
            continue
        named = True
        given = reader.text(value, f"model.{key.text}")
        if given is not None and (not given or any(character.isspace() for character in given)):
            message = f"model.{key.text} cannot be {shorten(given)!r}"
            reader.error("value", value, message, note="as owner/model")
    if not named:
        reader.error("missing", node, "model needs a name, the Hugging Face id, or an id")


CHECKS: Mapping[str, Callable[[Reader, Node, str], None]] = {
    "name": _text,
    "model": _model,
    "gpu-type": _text,
    "gpu-count": _count,
    "replicas": _count,
    "inference-engine-version": _text,
}
