"""A parameter list read as the engine's own parser reads it. Pure.

The algorithm is that of Python's ``argparse`` with abbreviations allowed (3.11), after ``harness.params.tokens`` has
done what vLLM does before. Where argparse would stop at the first error, this reader notes the problem and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.params.flags import Flag, flags_meant
from harness.params.grammar import Arity, Grammar, Option
from harness.params.reading import Argument, KeyPart, Problem, ProblemKind, Reading, Span
from harness.params.refusals import Refusal, RefusalKind
from harness.params.tokens import Token, tokenize
from harness.params.values import convert

# Enough for a report; a list is refused for one problem as for a thousand.
MAX_PROBLEMS = 100
_KINDS = {
    RefusalKind.TYPE: ProblemKind.WRONG_TYPE,
    RefusalKind.CHOICE: ProblemKind.NOT_ALLOWED,
    RefusalKind.JSON: ProblemKind.MALFORMED_JSON,
    RefusalKind.KEY: ProblemKind.UNKNOWN_KEY,
    RefusalKind.FIELD: ProblemKind.MISTYPED_KEY,
    RefusalKind.CONDITION: ProblemKind.CONDITION,
}


def read(parameters: Sequence[str], grammar: Grammar) -> Reading:
    """The arguments of a list and everything the engine's parser would refuse in it."""
    tokens, problems = tokenize(parameters, grammar)
    reader = _Reader(tokens, grammar, problems)
    reader.run()
    by_name: dict[str, list[Argument]] = {}
    for argument in reader.arguments:
        by_name.setdefault(argument.option.name, []).append(argument)
    grouped = {name: tuple(found) for name, found in by_name.items()}
    deciding = {argument.option.name: argument for argument in reader.arguments}
    values = dict(grammar.defaults)
    for name, argument in deciding.items():
        values[name] = argument.converted if argument.valid else None
    return Reading(tuple(reader.arguments), tuple(problems), grouped, deciding, values)


class _Reader:
    """One pass over the tokens: ``pattern`` holds O (flag), A (value) or - (a bare ``--``) for each."""

    def __init__(self, tokens: list[Token], grammar: Grammar, problems: list[Problem]) -> None:
        self.tokens = tokens
        self.grammar = grammar
        self.problems = problems
        self.arguments: list[Argument] = []
        self.flags: dict[int, Flag] = {}
        self.pattern = ""
        self.model_read = False

    def run(self) -> None:
        self._classify()
        position = 0
        for following in list(self.flags):
            if position < following:
                position = self._take_model(position)
                self._note_strays(position, following)
            position = self._take_flag(following)
        self._note_strays(self._take_model(position), len(self.tokens))

    def _note(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def _classify(self) -> None:
        letters = []
        for position, token in enumerate(self.tokens):
            if token.text == "--":
                letters.append("-" + "A" * (len(self.tokens) - position - 1))
                break
            flag = self._as_flag(token)
            if flag is None:
                letters.append("A")
            else:
                self.flags[position] = flag
                letters.append("O")
        self.pattern = "".join(letters)

    def _as_flag(self, token: Token) -> Flag | None:
        """None for a text that is a value."""
        text = token.text
        if not text.startswith("-") or text == "-":
            return None
        candidates = flags_meant(text, self.grammar)
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        name = text.partition("=")[0]
        spellings = tuple(candidate.spelling for candidate in candidates)
        self._note(
            Problem(ProblemKind.AMBIGUOUS, token.span(0, len(name)), name, flag=name, choices=spellings)
        )
        return Flag(None, text, ambiguous=True)

    def _take_model(self, position: int) -> int:
        """The model's name, which may be left out, with the bare ``--`` around it."""
        if self.model_read:
            return position
        self.model_read = True
        end = position
        while self.pattern[end : end + 1] == "-":
            end += 1
        if self.pattern[end : end + 1] == "A":
            end += 1
        while self.pattern[end : end + 1] == "-":
            end += 1
        return end

    def _note_strays(self, start: int, end: int) -> None:
        before = self._before(start) if start < end else ""
        for position in range(start, end):
            token = self.tokens[position]
            kind = ProblemKind.MODEL if token.item is None else ProblemKind.STRAY
            if token.text == "--":
                before = ""
            self._note(Problem(kind, token.span(), token.text, detail=before))

    def _before(self, position: int) -> str:
        """What stands before a stray text: the unknown flag it was meant for, or nothing."""
        while position and self.pattern[position] == "A":
            position -= 1
        flag = self.flags.get(position)
        return flag.spelling if flag is not None and flag.option is None else ""

    def _take_flag(self, position: int) -> int:
        """Reads the flag at ``position`` with its values; the position after them."""
        token, flag = self.tokens[position], self.flags[position]
        while True:
            if flag.option is None:
                self._note_unknown(token, flag)
                return position + 1
            if flag.option.arity is Arity.HELP:
                self._note(Problem(ProblemKind.HELP, token.span(), token.text, flag="--help"))
                return position + 1
            if flag.glued is None:
                return self._take_following(position, flag)
            if flag.option.arity is not Arity.NONE:
                value = Token(
                    flag.glued, token.item, token.shift + flag.glued_at, token.synthetic, token.parts
                )
                self._add(token, flag, [] if flag.glued == "--" else [value])
                return position + 1
            next_flag = self._next_letter(flag)
            if next_flag is None:
                span = token.span(flag.glued_at)
                self._note(
                    Problem(
                        ProblemKind.VALUE_FOR_SWITCH,
                        span,
                        flag.glued,
                        flag.spelling,
                        flag.option,
                        flag_span=token.span(0, flag.written),
                    )
                )
                return position + 1
            self._add(token, flag, [])
            flag = next_flag

    def _next_letter(self, flag: Flag) -> Flag | None:
        """A short switch's glued text as a further short flag: ``-ep=q`` is ``-ep -q``."""
        glued = flag.glued
        if flag.spelling.startswith("--") or not glued:
            return None
        option = self.grammar.by_flag.get(f"-{glued[0]}")
        if option is None:
            return None
        return Flag(option, f"-{glued[0]}", glued[1:] or None, flag.glued_at + 1, flag.glued_at + 1)

    def _note_unknown(self, token: Token, flag: Flag) -> None:
        if flag.ambiguous:
            return
        name = flag.spelling.partition("=")[0]
        self._note(Problem(ProblemKind.UNKNOWN_FLAG, token.span(0, len(name)), name, flag=name))

    def _take_following(self, position: int, flag: Flag) -> int:
        assert flag.option is not None
        available = 0
        limit = len(self.pattern) if flag.option.arity is Arity.MANY else position + 2
        if flag.option.arity is not Arity.NONE:
            while (
                position + 1 + available < limit
                and self.pattern[position + 1 + available : position + 2 + available] == "A"
            ):
                available += 1
        if not available and flag.option.arity in (Arity.ONE, Arity.MANY):
            token = self.tokens[position]
            self._note(
                Problem(
                    ProblemKind.MISSING_VALUE,
                    token.span(0, flag.written),
                    token.text,
                    flag.spelling,
                    flag.option,
                )
            )
            return position + 1
        end = position + 1 + available
        self._add(self.tokens[position], flag, self.tokens[position + 1 : end])
        return end

    def _add(self, token: Token, flag: Flag, values: list[Token]) -> None:
        option = flag.option
        assert option is not None
        flag_span = token.span(0, flag.written) or Span(0, 0, 0)
        negated = flag.spelling.startswith("--no-")
        valid = True
        texts, spans, converted = [], [], []
        for value in values:
            conversion = convert(option, value.text)
            texts.append(value.text)
            spans.append(value.span() or flag_span)
            converted.append(conversion.value)
            for refusal in conversion.refusals:
                valid = False
                self._note(_value_problem(refusal, flag, value, flag_span))
        parts = values[0].parts if values else ()
        self.arguments.append(
            Argument(
                option=option,
                flag_text=token.text[: flag.written],
                flag=flag.spelling,
                values=tuple(texts),
                converted=_meaning(option, converted, negated=negated),
                flag_span=flag_span,
                value_spans=tuple(spans),
                negated=negated,
                abbreviated=len(flag.spelling) != flag.written and not token.synthetic,
                valid=valid,
                parts=parts,
            )
        )


def _meaning(option: Option, converted: list[object], *, negated: bool) -> object:
    match option.arity:
        case Arity.NONE:
            return not negated
        case Arity.MANY:
            return tuple(converted)
        case Arity.OPTIONAL if not converted:
            return True
        case _:
            return converted[0] if converted else ()


def _value_problem(refusal: Refusal, flag: Flag, value: Token, flag_span: Span) -> Problem:
    return Problem(
        kind=_KINDS[refusal.kind],
        span=_part_span(refusal, value.parts) or value.span(),
        text=value.text,
        flag=flag.spelling,
        option=flag.option,
        detail=refusal.detail,
        choices=refusal.choices,
        path=refusal.path,
        offset=refusal.offset,
        flag_span=flag_span,
    )


def _part_span(refusal: Refusal, parts: tuple[KeyPart, ...]) -> Span | None:
    """The dotted item a refused key was given in: its key for an unknown one, else its value."""
    for part in reversed(parts):
        common = min(len(part.path), len(refusal.path))
        if part.path[:common] == refusal.path[:common]:
            return part.key_span if refusal.kind is RefusalKind.KEY else part.value_span
    return None
