from __future__ import annotations

import pandas as pd

from harness.results.canvas import Sheet, sheet
from harness.results.looks import MOST_NAMED, Looks, by_load, draw_paths, name_paths, paths_of
from harness.results.marks import COLOURS, LOOKS, number
from harness.results.scales import linear


def levels(cells: int, **changes: object) -> pd.DataFrame:
    """Two levels of each cell, the heavier first."""
    frame = pd.DataFrame(
        {
            "cell_id": [f"c{n}" for n in range(cells) for _ in range(2)],
            "label": [f"cell {n}" for n in range(cells) for _ in range(2)],
            "concurrency": [8, 4] * cells,
            "rate_req_s": None,
            "x": [8.0, 4.0] * cells,
            "y": [float(n) for n in range(cells) for _ in range(2)],
            "verdict": "valid",
            "few": False,
            "tip": "told",
        }
    )
    return frame.assign(**changes)


def drawn(frame: pd.DataFrame) -> Sheet:
    looks = Looks.of(frame)
    paper = sheet("x", simulated=False, xs=[linear([10.0])], y=linear([20.0]))
    paths = paths_of(frame, looks)
    draw_paths(paper.panel, paths, looks)
    name_paths(paper, paths, looks)
    return paper


def test_a_cell_looks_the_same_in_every_plot_whatever_is_drawn_with_it() -> None:
    frame = levels(4)
    looks = Looks.of(frame)
    few = paths_of(frame[frame["cell_id"].isin(["c2", "c3"])], looks)
    assert [(cell.cell_id, cell.label) for cell in few] == [("c2", "cell 2"), ("c3", "cell 3")]
    assert looks.look("c2") == LOOKS[2]
    assert few[0].points == [(4.0, 2.0), (8.0, 2.0)]


def test_cells_past_those_told_apart_share_one_entry_and_are_still_seen() -> None:
    paper = drawn(levels(MOST_NAMED + 3))
    assert [words for _, words in paper.legend] == [f"cell {n}" for n in range(MOST_NAMED)] + [
        "3 other cells"
    ]
    rest = next(piece for piece in paper.panel.pieces if 'class="rest"' in piece)
    assert rest.count("h0") == 6  # a dot for each level
    named = "".join(piece for piece in paper.panel.pieces if 'class="c' in piece)
    assert [named.count(colour) for colour in COLOURS] == [1] * MOST_NAMED
    assert named.count("<title>told</title>") == 2 * MOST_NAMED


def test_levels_of_too_few_requests_are_hollow_and_the_legend_says_so() -> None:
    paper = drawn(levels(2, few=[True, False, False, False]))
    named = "".join(piece for piece in paper.panel.pieces if 'class="c' in piece)
    assert named.count('class="paper"') == 1
    assert "hollow: too few requests" in [words for _, words in paper.legend]
    assert "hollow: too few requests" not in [words for _, words in drawn(levels(2)).legend]


def test_void_levels_are_crossed_out_and_the_legend_says_so() -> None:
    paper = drawn(levels(2, verdict=["valid", "void", "valid", "suspect"]))
    assert [words for _, words in paper.legend] == ["cell 0", "cell 1", "void"]
    # the light level of the first cell: x at 4 of 10.5, y at 0
    left, low = paper.panel.at(4, 0)
    assert f"M{number(left - 6)} {number(low - 6)}L" in paper.panel.pieces[-1]


def test_a_line_goes_from_light_to_heavy_and_joins_no_two_kinds_of_load() -> None:
    none = None
    frame = pd.DataFrame(
        {
            # as a search for the rate, a ramp, a search for users and one more rate were run
            "load": ["2", "4", "3", "1→4", "c2", "c8", "c4", "1"],
            "concurrency": [none, none, none, none, 2, 8, 4, none],
            "rate_req_s": [2.0, 4.0, 3.0, none, none, none, none, 1.0],
            "point": range(8),
        }
    )
    assert by_load(frame)["load"].to_list() == ["c2", "c4", "c8", "1", "2", "3", "4", "1→4"]
    whole = frame.assign(cell_id="c", label="cell", x=range(8), y=0.0, few=False, verdict="valid", tip="")
    [cell] = paths_of(whole, Looks({"c": 0}))
    assert [[x for x, _ in strand] for strand in cell.strands()] == [[4, 6, 5], [7, 0, 2, 1], [3]]
