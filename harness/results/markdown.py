"""A report as Markdown that reads well in a pull request; plots by relative path. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.results.document import Document, Section, Table, TableCell

FAINT_NOTE = "\\* too few requests for this percentile"


def markdown(document: Document, *, plots_prefix: str) -> str:
    """The whole report; ``plots_prefix`` stands before each plot's name."""
    lines = [f"# {_md(document.title)}", ""]
    if document.question:
        lines += [f"_{_md(document.question)}_", ""]
    first, *others = document.answers
    lines += [f"**{_md(first)}**", "", *(f"* {_md(line)}" for line in others), ""]
    lines += [*(f"> {_md(line)}  " for line in document.warnings), ""]
    for section in document.sections:
        lines += _section(section, plots_prefix)
    return "\n".join(lines)


def _section(section: Section, plots_prefix: str) -> Iterable[str]:
    yield from (f"## {section.title}", "")
    for text in section.text:
        yield from (_md(text), "")
    for plot in section.plots:
        yield from (f"![{_md(plot.title)}. {_md(plot.description)}]({plots_prefix}{plot.name}.png)", "")
    for table in section.tables:
        yield from _table(table)
    if section.facts:
        yield from (*(f"* **{_md(name)}**: {_md(value)}" for name, value in section.facts), "")


def _table(table: Table) -> Iterable[str]:
    if table.folded:
        yield from (f"<details><summary>{_md(table.caption)}</summary>", "")
    else:
        yield from (f"{_md(table.caption)}:", "")
    numeric = [cell.number for cell in table.rows[0]] if table.rows else [False] * len(table.heads)
    yield f"| {' | '.join(table.heads)} |"
    yield f"| {' | '.join('---:' if number else '---' for number in numeric)} |"
    for row in table.rows:
        yield f"| {' | '.join(_field(cell) for cell in row)} |"
    if any(cell.faint for row in table.rows for cell in row):
        yield from ("", FAINT_NOTE)
    yield from ("", "</details>", "") if table.folded else ("",)


def _field(cell: TableCell) -> str:
    if cell.code:  # what stands between the marks is not read as Markdown, but for what parts the columns
        text = cell.text.replace("|", "\\|")
        return f"`` {text} ``" if "`" in text else f"`{text}`"
    return _md(cell.text) + ("\\*" if cell.faint else "")


def _md(text: str) -> str:
    """Text that means itself in Markdown, on one line."""
    flat = " ".join(text.split())
    for mark in ("\\", "|", "*", "_", "`", "<", "["):
        flat = flat.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return flat
