"""How findings look: worked by hand, with no linter involved."""

from __future__ import annotations

from harness.cli.render import render_diagnostics
from harness.diagnostics import Diagnostic, Location, Severity, Stage


def finding(location: Location | None, **rest: object) -> Diagnostic:
    values = {"code": "some-code", "severity": Severity.ERROR, "stage": Stage.PARSE, "message": "not good"}
    return Diagnostic(**{**values, "location": location, **rest})  # type: ignore[arg-type]  # fields by name


def lines(*found: Diagnostic, **sources: str) -> list[str]:
    return render_diagnostics(found, color=False, sources=sources).split("\n")


def test_finding_shows_place_line_carets_note_and_hint() -> None:
    where = Location("x", 2, 5, 2, 8)
    assert lines(finding(where, note="one of: a", hint="try b"), x="first\nabc def ghi\n") == [
        "x:2:5: error[some-code]: not good",
        "  2 | abc def ghi",
        "    |     ^^^ one of: a",
        "  = hint: try b",
    ]


def test_carets_line_up_under_wide_and_combining_characters() -> None:
    shown = lines(finding(Location("x", 1, 4, 1, 5)), x="漢e\u0301Z")
    assert shown[2] == "    |    ^"


def test_span_over_several_lines_is_marked_to_the_end_of_the_first() -> None:
    shown = lines(finding(Location("x", 1, 2, 3, 1)), x="abcd\ne\nf")
    assert shown[1:] == ["  1 | abcd", "    |  ^^^"]


def test_empty_span_still_has_one_caret_even_behind_the_line() -> None:
    shown = lines(finding(Location("x", 1, 3, 1, 3)), x="ab")
    assert shown[2] == "    |   ^"


def test_long_line_is_cut_around_the_span() -> None:
    shown = lines(finding(Location("x", 1, 501, 1, 504)), x="a" * 500 + "BAD" + "c" * 500)
    assert len(shown[1]) < 180
    start = shown[2].index("^")
    assert shown[1][start : start + 3] == "BAD"
    assert shown[1].endswith("…")


def test_control_characters_are_written_out() -> None:
    shown = "\n".join(lines(finding(Location("x", 1, 2, 1, 3), message="\x1b[31m"), x="\x1b]0;t\x07 \u202e"))
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_missing_file_costs_only_the_source_line() -> None:
    assert lines(finding(Location("/no/such/file", 1, 1, 1, 2))) == [
        "/no/such/file:1:1: error[some-code]: not good"
    ]


def test_cells_are_counted_and_the_first_three_named() -> None:
    shown = lines(finding(None, cells=("a", "b", "c", "d", "e")))
    assert shown == ["error[some-code]: not good (5 cells: a, b, c, and 2 more)"]
    assert lines(finding(None, cells=("a",))) == ["error[some-code]: not good (1 cell: a)"]


def test_color_surrounds_but_does_not_change_the_text() -> None:
    found = finding(Location("x", 1, 1, 1, 2))
    colored = render_diagnostics([found], color=True, sources={"x": "a"})
    plain = colored.replace("\x1b[0m", "").replace("\x1b[31m", "").replace("\x1b[1m", "")
    assert plain.split("\n") == lines(found, x="a")
