"""Seeded argument lists for comparing our reading with the real parser: ordinary, mutated, and pathological.

The lists are drawn from the real flags of a version's help document, so that most items mean something; values, dashes,
abbreviations, JSON and stray items are then bent at random. The same seed gives the same lists.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutate import Mutator, read_lists

from harness.params.grammar import Arity, Grammar, Option, ValueKind
from harness.params.schema import Field, Schema
from harness.params.snapshots import known_versions, load_grammar, load_history

POOLS: dict[str, tuple[str, ...]] = {
    name: tuple(texts)
    for name, texts in json.loads(Path(__file__).with_name("pools.json").read_text()).items()
}
INTEGERS = (*POOLS["integers"], "9" * 5000, "9" * 400 + "k")
NUMBERS = POOLS["numbers"]
TEXTS = (*POOLS["texts"], "x" * 300)
ODD_ITEMS = POOLS["odd_items"]
JSON_VALUES = POOLS["json_values"]
BROKEN_JSON = (*POOLS["broken_json"], "[" * 2000, '{"a":' + "1" * 5000 + "}")


class ListMaker:
    """Lists for one version; ``grammar`` gives the flags, ``rng`` every choice.

    ``foreign_flags`` are those of other versions and of the past.
    """

    def __init__(self, grammar: Grammar, rng: random.Random, foreign_flags: Sequence[str]) -> None:
        self.grammar = grammar
        self.rng = rng
        self.flags = tuple(grammar.by_flag)
        self.foreign_flags = tuple(foreign_flags)
        self.structured = [option for option in grammar.options if option.schema is not None]
        self.many = [option for option in grammar.options if option.arity is Arity.MANY]

    def one(self) -> list[str]:
        """One list: mostly well-formed arguments, with zero to two of them bent."""
        rng = self.rng
        items: list[str] = []
        for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 4, 6))):
            draw = rng.random()
            if draw < 0.55:
                items += self.argument(bent=rng.random() < 0.45)
            elif draw < 0.75:
                items += self.structure()
            elif draw < 0.87:
                items += self.dotted()
            elif draw < 0.95:
                items.append(rng.choice(ODD_ITEMS))
            else:
                items.append(rng.choice(TEXTS))
        if rng.random() < 0.08:
            self.disturb(items)
        return items

    def argument(self, *, bent: bool) -> list[str]:
        """A flag with its values, joined or separate."""
        rng = self.rng
        flag = rng.choice(self.flags)
        option = self.grammar.by_flag[flag]
        value = self.value(option, bent=bent)
        if rng.random() < 0.02:
            flag = rng.choice(self.foreign_flags)
        if bent and rng.random() < 0.35:
            flag = self.bend_flag(flag)
        if option.arity in (Arity.NONE, Arity.HELP):
            if not bent or rng.random() < 0.6:
                return [flag]
            return [flag, value] if rng.random() < 0.5 else [f"{flag}={value}"]
        if bent and rng.random() < 0.08:
            return [flag]
        draw = rng.random()
        if draw < 0.4:
            return [f"{flag}={value}"]
        if draw < 0.44 and not flag.startswith("--"):
            return [f"{flag}{value}"]
        values = [value]
        if option.arity is Arity.MANY or rng.random() < 0.03:
            values += [self.value(option, bent=bent) for _ in range(rng.randrange(3))]
        return [flag, *values]

    def bend_flag(self, flag: str) -> str:
        """A flag as people mistype or shorten it."""
        rng = self.rng
        match rng.randrange(9):
            case 0 | 1 | 2:
                return flag[: rng.randrange(1, len(flag) + 1)]
            case 3:
                return flag.replace("-", "_").replace("__", "--", 1)
            case 4:
                return flag[:2] + flag[2:].replace("-", "_", 1)
            case 5:
                at = rng.randrange(len(flag))
                return flag[:at] + rng.choice("-_.= aX") + flag[at:]
            case 6:
                return flag.upper()
            case 7:
                return flag[1:] if rng.random() < 0.5 else "-" + flag
            case _:
                return (
                    "--no-" + flag.lstrip("-")
                    if rng.random() < 0.5
                    else flag + rng.choice(("s", " ", "_", ".x"))
                )

    def value(self, option: Option, *, bent: bool) -> str:
        """A value of the option's kind, or any text when ``bent``."""
        rng = self.rng
        if bent and rng.random() < 0.4:
            return rng.choice(rng.choice((INTEGERS, NUMBERS, TEXTS, JSON_VALUES, BROKEN_JSON)))
        if option.spec.allowed_values and rng.random() < 0.85:
            value = rng.choice(option.spec.allowed_values)
            return (
                rng.choice((value, value, value, value.upper(), f" {value}", f"0{value}", f"+{value}"))
                if bent
                else value
            )
        match option.kind:
            case ValueKind.INTEGER | ValueKind.HUMAN_INTEGER:
                return rng.choice(INTEGERS[: None if bent else 8])
            case ValueKind.NUMBER:
                return rng.choice(NUMBERS[: None if bent else 5])
            case ValueKind.JSON | ValueKind.JSON_OR_TEXT:
                return rng.choice(BROKEN_JSON if bent else JSON_VALUES)
            case ValueKind.STRUCTURE:
                return self.object_text(option.schema, bent=bent)
            case ValueKind.LORA_MODULE:
                return rng.choice(POOLS["lora_modules"])
            case _:
                return rng.choice(TEXTS[: None if bent else 12])

    def structure(self) -> list[str]:
        """A structured flag with an object for its value."""
        rng = self.rng
        option = rng.choice(self.structured)
        flag = rng.choice(option.flags)
        text = self.object_text(option.schema, bent=rng.random() < 0.3)
        if rng.random() < 0.05:
            return [flag, *text.split(" ")]
        return [f"{flag}={text}"] if rng.random() < 0.3 else [flag, text]

    def object_text(self, schema: Schema | None, *, bent: bool) -> str:
        """A JSON object with some of the schema's keys."""
        rng = self.rng
        if schema is None or (bent and rng.random() < 0.3):
            return rng.choice(BROKEN_JSON + JSON_VALUES)
        pairs = []
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
            key, field = self.key(schema)
            pairs.append(f"{json.dumps(key)}:{rng.choice(('', ' '))}{self.field_text(field, bent=bent)}")
        return "{" + ", ".join(pairs) + "}"

    def key(self, schema: Schema) -> tuple[str, Field | None]:
        """A key of the schema, sometimes misspelt, and its field when it has one."""
        rng = self.rng
        key = rng.choice(tuple(schema.fields))
        draw = rng.random()
        if draw < 0.04:
            key = key.replace("_", "-")
        elif draw < 0.08:
            key = rng.choice(
                (key[:-1], key + "s", "bogus", "", key.upper(), "local_cache_dir", "traced_files")
            )
        return key, schema.fields.get(key)

    def field_text(self, field: Field | None, *, bent: bool) -> str:
        """JSON text for a field: of its type, or anything."""
        rng = self.rng
        if field is None or rng.random() < (0.7 if bent else 0.25):
            return rng.choice(JSON_VALUES)
        if field.schema is not None:
            return self.object_text(field.schema, bent=bent)
        kind = rng.choice(field.kinds)
        if kind.names or kind.numbers:
            return json.dumps(rng.choice((*kind.names, *kind.numbers)))
        samples: dict[str, Sequence[str]] = {
            "bool": ("true", "false", "0", '"yes"', '"off"'),
            "int": ("0", "1", "5", "-1", "2.0", '"3"'),
            "float": ("0.5", "1", '"1e3"', "-2.5"),
            "list": ("[]", "[1]", '["+a"]', '["all"]', '["1"]', "[true]"),
            "map": ("{}", '{"a":1}', '{"a":"b"}', "[]"),
        }
        return rng.choice(samples.get(kind.type, ('""', '"a"', '"eager"', '"1"', "1")))

    def dotted(self) -> list[str]:
        """Dotted keys of one flag: an item with ``=`` or two items, sometimes a list element, sometimes cut short."""
        rng = self.rng
        option = (
            rng.choice(self.structured)
            if rng.random() < 0.8
            else self.grammar.by_flag[rng.choice(self.flags)]
        )
        items: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            flag = rng.choice(option.flags)
            if rng.random() < 0.08:
                flag = self.bend_flag(flag)
            key, field = self.key(option.schema) if option.schema is not None else ("x", None)
            if field is not None and field.schema is not None and rng.random() < 0.8:
                inner, field = self.key(field.schema)
                key = f"{key}.{inner}"
            value = self.field_text(field, bent=rng.random() < 0.2)
            if value.startswith('"') and rng.random() < 0.8:
                value = value.strip('"')
            if rng.random() < 0.1:
                key, value = key + "+", rng.choice(("a,b", "+a,-b", "1,2", "", value))
            if rng.random() < 0.05:
                value = rng.choice(TEXTS + BROKEN_JSON)
            items += [f"{flag}.{key}={value}"] if rng.random() < 0.6 else [f"{flag}.{key}", value]
        if rng.random() < 0.03:
            items.pop()
        return items

    def disturb(self, items: list[str]) -> None:
        """Drops, doubles, swaps, joins, cuts or re-spells an item in place."""
        rng = self.rng
        if not items:
            return
        at = rng.randrange(len(items))
        match rng.randrange(9):
            case 0:
                items.pop(at)
            case 1:
                items.insert(at, items[at])
            case 2:
                rng.shuffle(items)
            case 3:
                items[at : at + 2] = [" ".join(items[at : at + 2])]
            case 4:
                items[at : at + 1] = items[at].split(" ")
            case 5:
                items.insert(at, "--")
            case 6:
                cut = rng.randrange(len(items[at]) + 1)
                items[at] = (
                    items[at][:cut]
                    + rng.choice(("", "_", "-", "=", ".", " ", "é", "\x00", '"', "{"))
                    + items[at][cut:]
                )
            case 7:
                items[at] = "".join(rng.choice(TEXTS + ODD_ITEMS + JSON_VALUES) for _ in range(2))
            case _:
                items[at] = "".join(
                    chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FF))))
                    for _ in range(rng.randrange(9))
                )


def generate(grammar: Grammar, *, seed: int, count: int) -> Iterator[list[str]]:
    """``count`` lists for the grammar's version: two thirds made from its flags, a third bent hand-made ones."""
    rng = random.Random(f"{grammar.version}/{seed}")
    flags = {flag for version in known_versions() for flag in load_grammar(version).by_flag}
    flags |= {f"--{name}" for name in load_history().replacements}
    maker = ListMaker(grammar, rng, sorted(flags - set(grammar.by_flag)))
    mutator = Mutator(read_lists(), sorted(grammar.by_flag), rng)
    for _ in range(count):
        yield maker.one() if rng.random() < 2 / 3 else mutator.one()
