"""Splits shell text into the words of its commands, each with its place. Pure.

Reads quotes, escapes, line continuations, comments, redirections and the operators that end a command. What is known
only when the script runs (``$X``, ``$(...)``, back quotes) makes its word opaque; nothing is expanded.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.plan.spans import LocatedText, Span, spans_of

_ENDS = ";&|()\n"
_BLANK = " \t\r"


def split_commands(script: LocatedText) -> Iterator[list[LocatedText]]:
    """The commands of a script as lists of words; empty commands are left out."""
    lexer = _Lexer(script)
    command: list[LocatedText] = []
    while not lexer.at_end:
        if lexer.skip_blank():
            continue
        mark = lexer.peek()
        if mark in _ENDS:
            lexer.at += 1
            if command:
                yield command
            command = []
        elif mark in "<>":
            lexer.skip_redirection(command)
        else:
            command.append(lexer.word())
    if command:
        yield command


class _Lexer:
    """Walks one script from left to right; lives for that script."""

    def __init__(self, script: LocatedText) -> None:
        self.script = script
        self.text = script.text
        self.spans = script.spans if script.spans is not None else list(spans_of(script))
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def skip_blank(self) -> bool:
        """Passes over white space, a continued line or a comment; False when there was none."""
        start = self.at
        while self.peek() and self.peek() in _BLANK:
            self.at += 1
        if self.text.startswith(("\\\n", "\\\r\n"), self.at):
            self.at = self.text.index("\n", self.at) + 1
        elif self.peek() == "#":
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        return self.at > start

    def skip_redirection(self, command: list[LocatedText]) -> None:
        """Passes over ``> file``, ``2>&1``, ``<<EOF`` with the number before it."""
        if command and command[-1].text.isdigit() and command[-1].whole[1] == self.spans[self.at][0]:
            command.pop()
        while self.peek() and self.peek() in "<>&":
            self.at += 1
        while self.peek() and self.peek() in _BLANK:
            self.at += 1
        if not self.at_end and self.peek() not in _ENDS:
            self.word()

    def word(self) -> LocatedText:
        start, opaque = self.at, False
        characters: list[str] = []
        spans: list[Span] = []
        while not self.at_end:
            mark = self.peek()
            if mark in _BLANK or mark in _ENDS or mark in "<>":
                break
            if mark == "'":
                self.single(characters, spans)
            elif mark == '"':
                opaque = self.double(characters, spans) or opaque
            elif mark == "\\":
                self.escape(characters, spans)
            elif mark in "$`":
                opaque = True
                self.expansion(characters, spans)
            else:
                self.take(characters, spans)
        whole = (self.spans[start][0], self.spans[self.at - 1][1])
        return LocatedText(self.script.source, "".join(characters), whole, tuple(spans), "word", opaque)

    def take(self, characters: list[str], spans: list[Span]) -> None:
        characters.append(self.text[self.at])
        spans.append(self.spans[self.at])
        self.at += 1

    def escape(self, characters: list[str], spans: list[Span]) -> None:
        self.at += 1
        if self.peek() == "\n":
            self.at += 1
        elif not self.at_end:
            self.take(characters, spans)

    def single(self, characters: list[str], spans: list[Span]) -> None:
        end = self.text.find("'", self.at + 1)
        self.at += 1
        stop = len(self.text) if end < 0 else end
        while self.at < stop:
            self.take(characters, spans)
        self.at = min(stop + 1, len(self.text))

    def double(self, characters: list[str], spans: list[Span]) -> bool:
        """A double-quoted part; True when it holds an expansion."""
        self.at += 1
        opaque = False
        while not self.at_end and self.peek() != '"':
            if self.peek() == "\\" and self.peek(1) in ("$", "`", '"', "\\", "\n"):
                self.escape(characters, spans)
            elif self.peek() in ("$", "`"):
                opaque = True
                self.expansion(characters, spans)
            else:
                self.take(characters, spans)
        self.at = min(self.at + 1, len(self.text))
        return opaque

    def expansion(self, characters: list[str], spans: list[Span]) -> None:
        """``$X``, ``${X}``, ``$(...)`` or back quotes, kept as written."""
        closing = {"(": ")", "{": "}"}.get(self.peek(1)) if self.peek() == "$" else "`"
        self.take(characters, spans)
        if closing is None:
            return
        depth, opening = 0, self.peek()
        while not self.at_end:
            mark = self.peek()
            if mark == closing:
                depth -= 1
            elif mark == opening:
                depth += 1
            self.take(characters, spans)
            if (mark == closing and depth <= 0) or closing == mark == "`":
                return
