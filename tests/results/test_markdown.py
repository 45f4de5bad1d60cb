from __future__ import annotations

from harness.results.document import Document, Section, Table, TableCell
from harness.results.markdown import markdown


def row_of(*cells: TableCell) -> str:
    table = Table("caption", tuple("ab")[: len(cells)], (cells,))
    document = Document("t", False, None, ("answer",), (), (Section("s", tables=(table,)),))
    lines = markdown(document, plots_prefix="plots/").splitlines()
    return next(line for line in lines if line.startswith("| ") and "---" not in line and line != "| a | b |")


def test_text_means_itself_and_a_faint_figure_is_marked() -> None:
    assert row_of(TableCell("a*b <c>"), TableCell("1.5", faint=True)) == "| a\\*b &lt;c> | 1.5\\* |"


def test_a_command_can_be_copied_and_only_a_bar_is_escaped() -> None:
    command = "harness load URL --slo 'ttft_p95<=1s' --input-tokens '64|512'"
    shown = row_of(TableCell("c8"), TableCell(command, code=True))
    # GitHub's tables take the backslash before a bar away, in code too
    assert shown == f"| c8 | `{command.replace('|', chr(92) + '|')}` |"
    assert row_of(TableCell("c8"), TableCell("a `b`", code=True)) == "| c8 | `` a `b` `` |"
