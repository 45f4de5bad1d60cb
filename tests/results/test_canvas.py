"""What is drawn is well-formed, lies on its sheet, and covers nothing."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from harness.results.canvas import WIDTH, Panel, Plot, Sheet, finish, sheet, shortened
from harness.results.marks import LOOKS, NOWHERE, coloured, mark, number, path, stroke, text
from harness.results.scales import linear, named, rows

SVG = "{http://www.w3.org/2000/svg}"


def paper(**changes: object) -> Sheet:
    usual = {"simulated": False, "xs": [linear([10.0])], "y": linear([10.0])}
    return sheet("Title", **(usual | changes))  # type: ignore[arg-type]  # a dict of several types


def texts(plot: Plot) -> list[tuple[float, float, str]]:
    """Every text with its place."""
    root = ElementTree.fromstring(plot.svg)
    return [
        (float(each.attrib["x"]), float(each.attrib["y"]), each.text or "")
        for each in root.iter(f"{SVG}text")
    ]


def height(plot: Plot) -> float:
    return float(ElementTree.fromstring(plot.svg).attrib["viewBox"].split()[3])


@pytest.mark.parametrize(("value", "words"), [(1.0, "1"), (1.25, "1.2"), (-0.26, "-0.3"), (1e3, "1000")])
def test_coordinates_are_short(value: float, words: str) -> None:
    assert number(value) == words


def test_a_line_is_broken_where_there_is_no_value() -> None:
    assert 'd="M0 0L1 1M2 2"' in path([(0, 0), (1, 1), NOWHERE, (2, 2)])


def test_text_is_never_markup() -> None:
    assert "<script>" not in text("<script>", (0, 0), size=10)
    plot = finish(paper(), "x", '<b>"bold"</b>')
    assert ElementTree.fromstring(plot.svg).attrib["aria-label"] == 'Title. <b>"bold"</b>'


def test_a_mark_tells_a_pointer_what_it_is() -> None:
    assert "<title>a &lt; b</title>" in mark(LOOKS[0], (0, 0), tip="a < b")
    assert "<title>" not in mark(LOOKS[0], (0, 0))


def test_no_two_looks_are_alike_without_colour() -> None:
    assert len({look.shape for look in LOOKS}) == len(LOOKS) == 8
    outlines = {re.sub(r".*? d=\"([^\"]*).*", r"\1", mark(look, (0, 0))) for look in LOOKS}
    assert len(outlines) == 8


def test_places_on_a_panel_are_reckoned_from_its_axes() -> None:
    panel = Panel(linear([10.0]), linear([20.0]), (100.0, 50.0), 210.0, 105.0, [])
    # room of a twentieth beyond 10 and 20: the axes end at 10.5 and 21
    assert panel.at(0, 0) == (100.0, 155.0)
    assert panel.at(10.5, 21) == (pytest.approx(310.0), pytest.approx(50.0))
    assert panel.at(5.25, 10.5) == (pytest.approx(205.0), pytest.approx(102.5))


def test_a_limit_outside_of_the_axes_is_not_drawn() -> None:
    panel = paper().panel
    before = len(panel.pieces)
    panel.line_at_x(11)
    panel.line_at_y(-1)
    assert len(panel.pieces) == before
    panel.line_at_x(5)
    panel.line_at_y(5)
    assert len(panel.pieces) == before + 2


def test_notes_that_would_cover_each_other_are_left_out() -> None:
    panel = paper().panel
    for words, place in zip("abcdef", (5, 5, 5, 5, 5, 1), strict=True):
        panel.note(place, place, words)
    drawn = [piece for piece in panel.pieces if piece.startswith("<text")]
    # one point has four sides
    assert [re.sub(r"<[^>]*>", "", piece) for piece in drawn[-5:]] == ["a", "b", "c", "d", "f"]


def test_notes_stay_inside_the_panel_and_off_what_is_kept_free() -> None:
    panel = paper().panel
    before = len(panel.pieces)
    panel.note(0, 10.5, "x" * 90)  # wider than the panel
    panel.keep_free(panel.at(5, 5), 60)
    panel.note(5, 5, "covered")
    assert len(panel.pieces) == before


def test_the_legend_is_below_all_panels_and_on_the_sheet() -> None:
    one = paper(xs=[linear([1.0], "first words"), linear([1.0])])
    one.legend += [(stroke([(0, 0), (24, 0)]), f"entry {n}") for n in range(7)]
    plot = finish(one, "x", "y")
    entries = [(x, y) for x, y, words in texts(plot) if words.startswith("entry")]
    assert len(entries) == 7
    below = max(y for _, y, words in texts(plot) if not words.startswith("entry"))
    assert min(y for _, y in entries) > below
    assert max(y for _, y in entries) < height(plot)
    assert len(set(entries)) == 7


def test_a_long_title_takes_several_lines() -> None:
    title = "Lowest EUR per 1M output tokens over gpu count and engine version"
    plot = finish(sheet(title, simulated=True, xs=[linear([1.0])], y=linear([1.0])), "x", "y")
    assert plot.title == f"{title} (SIMULATED)"
    lines = [words for _, _, words in texts(plot)[:2]]
    assert " ".join(lines) == plot.title


def test_names_too_long_for_the_margin_keep_both_ends() -> None:
    name = "gpurtx6000pro×1 0.15.1 " + "x" * 60 + "[max-num-seqs=64]"
    cut = shortened(name)
    assert cut.startswith("gpurtx6000pro")
    assert cut.endswith("[max-num-seqs=64]")
    assert len(cut) < len(name)
    assert shortened("short") == "short"


def test_names_that_would_touch_stand_upright() -> None:
    many = finish(paper(xs=[named([f"level {n}" for n in range(30)])]), "x", "y")
    few = finish(paper(xs=[named(["a", "b"])]), "x", "y")
    assert many.svg.count("rotate(-90") == 30
    assert few.svg.count("rotate(-90") == 0
    assert height(many) > height(few)


def test_words_below_a_narrow_panel_stay_on_the_sheet() -> None:
    words = "EUR per 1M output tokens, start-up not counted, " + "x" * 20
    plot = finish(paper(xs=[linear([1.0], words)], y=rows(["n" * 46])), "x", "y")
    [x] = [x for x, _, said in texts(plot) if said == words]
    assert x + len(words) * 11.5 * 0.58 / 2 <= WIDTH


def test_on_a_page_a_plot_names_no_address() -> None:
    plot = finish(paper(), "x", "y")
    assert "http" in plot.svg
    assert "http" not in plot.inline
    assert plot._repr_svg_() == plot.svg


def test_a_plot_of_the_same_is_the_same() -> None:
    one, other = paper(), paper()
    for each in (one, other):
        each.panel.pieces.append(coloured(LOOKS[1], [path([(0, 0), (1.23456, 2)])]))
    assert finish(one, "x", "y") == finish(other, "x", "y")
