"""What the engine does to a list before its parser sees it: ``--model`` first, dashes, ``-O``, dotted JSON keys. Pure.

The engine is started as ``serve <model> <the user's items>``; the reading keeps, for every text the parser will see,
the item and the character it came from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from harness.params.grammar import Grammar
from harness.params.reading import KeyPart, Problem, ProblemKind, Span

MODEL_FLAG = "--model"
_LEVELS = {"0", "1", "2", "3"}


class Token(NamedTuple):
    """A text the parser sees. ``item`` is the index of the item it came from, None for the platform's own model.

    ``shift`` is the offset in the item of the text's first character; ``parts`` are the dotted items a merged JSON
    text was made of, ``synthetic`` says that the text does not stand in the item as such.
    """

    text: str
    item: int | None
    shift: int = 0
    synthetic: bool = False
    parts: tuple[KeyPart, ...] = ()

    def span(self, start: int = 0, end: int | None = None) -> Span | None:
        """Where characters ``start`` to ``end`` of the text stand."""
        if self.item is None:
            return None
        if not self.synthetic:
            first = self.shift + start
            return Span(
                self.item, first if first > 0 else 0, self.shift + (len(self.text) if end is None else end)
            )
        return self.parts[0].key_span if self.parts else Span(self.item, 0, 2)


def tokenize(parameters: Sequence[str], grammar: Grammar) -> tuple[list[Token], list[Problem]]:
    """The texts the parser sees, the model's first, and the problems found on the way."""
    problems: list[Problem] = []
    items = [Token(text, index) for index, text in enumerate(parameters)]
    items = _without_config_file(_model_first(items, problems), problems)
    tokens: list[Token] = []
    for position, item in enumerate(items):
        if item.text[:1] != "-":
            tokens.append(item)
            continue
        following = items[position + 1].text if position + 1 < len(items) else ""
        _append_rewritten(tokens, item, following, grammar)
    if any("." in token.text and token.text.startswith("-") for token in tokens):
        tokens = _merge_dotted(tokens, problems)
    return tokens, problems


def _model_first(items: list[Token], problems: list[Problem]) -> list[Token]:
    """``--model X`` anywhere becomes the first item, before the platform's own model."""
    model = Token("/model", None)
    for position, item in enumerate(items):
        if item.text == MODEL_FLAG:
            if position + 1 == len(items):
                problems.append(Problem(ProblemKind.MISSING_VALUE, item.span(), item.text, flag=MODEL_FLAG))
                return [model, *items[:position]]
            return [items[position + 1], model, *items[:position], *items[position + 2 :]]
        if item.text.startswith("--model="):
            tag = Token(item.text[8:], item.item, 8)
            return [tag, model, *items[:position], *items[position + 1 :]]
    return [model, *items]


def _without_config_file(items: list[Token], problems: list[Problem]) -> list[Token]:
    kept: list[Token] = []
    position = 0
    while position < len(items):
        item = items[position]
        if item.text != "--config":
            kept.append(item)
            position += 1
            continue
        value = items[position + 1].text if position + 1 < len(items) else ""
        problems.append(
            Problem(ProblemKind.CONFIG_FILE, item.span(), item.text, flag="--config", detail=value)
        )
        position += 2
    return kept


def _append_rewritten(tokens: list[Token], item: Token, following: str, grammar: Grammar) -> None:
    text = item.text
    if text.startswith("--"):
        if text.startswith("--help="):
            tokens.append(Token("--help", item.item))
        elif "_" in text:
            tokens.append(Token(_dashed(text), item.item, item.shift))
        else:
            tokens.append(item)
    elif text.startswith("-O") and text != "-O":
        if grammar.dotted_optimization and text[2] == ".":
            tokens.append(Token("-cc" + text[2:], item.item, -1))
            return
        start = 3 if text[2] == "=" else 2
        tokens.append(Token("--optimization-level", item.item, synthetic=True))
        tokens.append(Token(text[start:], item.item, start))
    elif text == "-O" and following in _LEVELS:
        tokens.append(Token("--optimization-level", item.item, synthetic=True))
    else:
        tokens.append(item)


def _dashed(text: str) -> str:
    """Underscores between the leading dashes and the first dot become dashes; a value after ``=`` is left alone."""
    key, equals, value = text.partition("=")
    head, dot, tail = key[2:].partition(".")
    return f"--{head.replace('_', '-')}{dot}{tail}{equals}{value}"


def _merge_dotted(tokens: list[Token], problems: list[Problem]) -> list[Token]:
    """Dotted items of one flag spelling, merged into one JSON text at the end of the list."""
    kept: list[Token] = []
    merged: dict[str, dict[str, object]] = {}
    parts: dict[str, list[KeyPart]] = {}
    position = 0
    while position < len(tokens):
        token = tokens[position]
        key, equals, value_text = token.text.partition("=")
        position += 1
        if not token.text.startswith("-") or "." not in key:
            kept.append(token)
            continue
        key_span = _known(token.span(0, len(key)))
        value_span = _known(token.span(len(key) + 1))
        if not equals:
            if position == len(tokens):
                problems.append(Problem(ProblemKind.DOTTED_WITHOUT_VALUE, token.span(), token.text, flag=key))
                break
            value_text = tokens[position].text
            value_span = tokens[position].span() or key_span
            position += 1
        flag, *path = key.removesuffix("+").split(".")
        part = KeyPart(tuple(path), value_text, key_span, value_span)
        try:
            _merge(merged.setdefault(flag, {}), _nested(path, _decoded(value_text, listed=key.endswith("+"))))
        except (ValueError, RecursionError):
            problems.append(Problem(ProblemKind.MALFORMED_JSON, value_span, value_text, flag=flag))
            continue
        parts.setdefault(flag, []).append(part)
    for flag, value in merged.items():
        if flag in parts:
            _append_merged(kept, flag, value, parts[flag], problems)
    return kept


def _append_merged(
    tokens: list[Token], flag: str, value: object, parts: list[KeyPart], problems: list[Problem]
) -> None:
    first = parts[0].key_span
    try:
        text = json.dumps(value)
    except RecursionError:
        problems.append(
            Problem(ProblemKind.MALFORMED_JSON, first, flag, flag=flag, detail="nested too deeply")
        )
        return
    tokens.append(Token(flag, first.index, first.start))
    tokens.append(Token(text, first.index, synthetic=True, parts=tuple(parts)))


def _known(span: Span | None) -> Span:
    """The span, or an empty one at the list's start for the platform's own item, which has no dots."""
    return span if span is not None else Span(0, 0, 0)


def _decoded(text: str, *, listed: bool) -> object:
    if listed:
        return text.split(",")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _nested(path: list[str], value: object) -> dict[str, object]:
    for key in reversed(path[1:]):
        value = {key: value}
    return {path[0]: value}


def _merge(original: dict[str, object], update: dict[str, object]) -> None:
    for key, value in update.items():
        present = original.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            _merge(present, value)
        elif isinstance(value, list) and isinstance(present, list):
            present += value
        else:
            original[key] = value
