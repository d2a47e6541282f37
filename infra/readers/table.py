"""The table of docs/READING.md that says what each reader does without a statement."""

from __future__ import annotations

from infra.local.settings import ROOT

PAGE = ROOT / "docs" / "READING.md"
START, END = "<!-- readers: defaults -->\n", "<!-- readers: end -->"

Columns = dict[str, list[str]]
"""The cells of each column, by its head."""


def read() -> Columns:
    _, table, _ = _parts()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    if not rows:
        return {}
    head, _, *cells = rows
    return {title: [row[number] for row in cells] for number, title in enumerate(head)}


def write(columns: Columns) -> None:
    before, _, after = _parts()
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    head, *lines = [f"| {' | '.join(row)} |\n" for row in rows]
    PAGE.write_text("".join([before, head, f"|{'---|' * len(columns)}\n", *lines, after]))


def _parts() -> tuple[str, str, str]:
    """Returns the page before the table, the table, and the page after it."""
    before, start, rest = PAGE.read_text().partition(START)
    table, end, after = rest.partition(END)
    assert start and end
    return before + start, table, end + after
