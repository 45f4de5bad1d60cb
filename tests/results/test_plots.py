from __future__ import annotations

import pandas as pd

from harness.results.canvas import COLOURS, MOST_NAMED, Looks, blank, by_load, note_points, strands
from harness.results.plots import knee


def ranked(cells: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": [f"c{n}" for n in range(cells) for _ in range(2)],
            "label": [f"cell {n}" for n in range(cells) for _ in range(2)],
            "point": [1, 0] * cells,
        }
    )


def test_a_cell_looks_the_same_in_every_plot_whatever_is_drawn_with_it() -> None:
    levels = ranked(4)
    looks = Looks.of(levels)
    few = levels[levels["cell_id"].isin(["c2", "c3"])]
    assert [(cell_id, name) for cell_id, name, _ in looks.cells(few)] == [("c2", "cell 2"), ("c3", "cell 3")]
    assert looks.style("c2")["color"] == COLOURS[2]
    assert looks.cells(few)[0][2]["point"].to_list() == [0, 1]


def test_no_two_named_cells_look_alike_and_the_others_share_one_entry() -> None:
    looks = Looks.of(ranked(MOST_NAMED + 3))
    named = [looks.style(f"c{n}") for n in range(MOST_NAMED)]
    assert len({(style["color"], style["marker"]) for style in named}) == MOST_NAMED
    assert "marker" not in looks.style(f"c{MOST_NAMED}")
    names = [name for _, name, _ in looks.cells(ranked(MOST_NAMED + 3))]
    assert names[MOST_NAMED:] == ["the others, ranked 9 to 11", None, None]
    assert looks.told == " Grey: the cells ranked 9 to 11 in the table of cells (cell 8, cell 9, cell 10)."
    assert Looks.of(ranked(MOST_NAMED)).told == ""
    assert "ranked 9 in the table" in Looks.of(ranked(MOST_NAMED + 1)).told


def levels_of(throughput: dict[int, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"concurrency": list(throughput), "output_throughput_tok_s": list(throughput.values())}
    )


def test_the_knee_is_the_fewest_users_with_nine_tenths_of_the_best() -> None:
    path = levels_of({32: 101.0, 8: 92.0, 16: 100.0, 4: 60.0})
    assert path["concurrency"][knee(path)] == 8  # 0.9 x 101 = 90.9


def test_there_is_no_knee_while_throughput_grows_or_of_too_few_levels() -> None:
    assert knee(levels_of({4: 50.0, 8: 100.0, 16: 200.0})) is None
    assert knee(levels_of({8: 100.0, 16: 101.0})) is None


def test_notes_that_would_cover_each_other_are_left_out() -> None:
    figure, axes = blank("x", simulated=False)
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    figure.draw_without_rendering()
    note_points(axes, [5, 5, 5, 5, 5, 1], [5, 5, 5, 5, 5, 1], [(text,) for text in "abcdef"])
    # one point has four sides
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d", "f"]


def test_a_note_gives_way_to_points_and_is_short_where_only_that_has_room() -> None:
    figure, axes = blank("x", simulated=False)
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    figure.draw_without_rendering()
    around = [(5 + dx, 5 + dy) for dx in (-1.5, 1.5) for dy in (-0.4, 0.4)]
    note_points(
        axes,
        [5, 1],
        [5, 1],
        [("a label of many words", "c8"), ("a label of many words", "c8")],
        beside=around,
    )
    assert [text.get_text() for text in axes.texts] == ["c8", "a label of many words"]


def test_a_line_goes_from_light_to_heavy_and_joins_no_two_kinds_of_load() -> None:
    none = None
    levels = pd.DataFrame(
        {
            # as a search for the rate, a ramp, a search for users and one more rate were run
            "load": ["2", "4", "3", "1→4", "c2", "c8", "c4", "1"],
            "concurrency": [none, none, none, none, 2, 8, 4, none],
            "rate_req_s": [2.0, 4.0, 3.0, none, none, none, none, 1.0],
            "point": range(8),
        }
    )
    found = [strand["load"].to_list() for strand in strands(by_load(levels))]
    assert found == [["c2", "c4", "c8"], ["1", "2", "3", "4"], ["1→4"]]
