"""The tables that a run prints."""

from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.measure import Spread

WIDTH = 140
"""Columns where nobody says how wide the terminal is."""


class Reach(NamedTuple):
    """What is to be reached, in words, and whether it is."""

    target: str
    reached: bool


def at_most(found: float, limit: float, text: str) -> Reach:
    """Whether a value is small enough. The text says of what, with `{}` for the limit."""
    return Reach(text.format(f"≤ {limit:g}"), found <= limit)


def at_least(found: float, limit: float, text: str) -> Reach:
    """Whether a value is great enough. The text says of what, with `{}` for the limit."""
    return Reach(text.format(f"≥ {thousands(limit)}"), found >= limit)


class Row(NamedTuple):
    """One line: what was measured, beside its baseline of the same run."""

    what: str
    value: str
    rate: str = ""
    baseline: str = ""
    baseline_value: str = ""
    ratio: str = ""
    reach: Reach | None = None


class Report(NamedTuple):
    """One table."""

    title: str
    unit: str
    """What the values are."""
    rows: list[Row]
    caption: str


def of(values: Spread, digits: int = 0) -> str:
    """A median with the least and the greatest value."""
    return f"{values.median:.{digits}f} ({values.least:.{digits}f}–{values.greatest:.{digits}f})"


def thousands(number: float) -> str:
    """A whole number, its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def console() -> Console:
    """Where tables go."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=WIDTH)


def show(report: Report, out: Console) -> None:
    """Print a table, without the columns in which nothing stands."""
    cells = [_cells(row) for row in report.rows]
    table = Table(title=report.title, title_justify="left", caption=report.caption, caption_justify="left")
    headings = ("", report.unit, "a second", "baseline of the same run", "takes", "ratio", "target", "reach")
    used = [index for index in range(len(headings)) if any(row[index] for row in cells)]
    for index in used:
        numbers = index in _NUMBERS
        table.add_column(headings[index], justify="right" if numbers else "left", no_wrap=numbers or not index)
    for row in cells:
        table.add_row(*(row[index] for index in used))
    out.print(table)
    out.print()


_NUMBERS = frozenset({1, 2, 4, 5})


def _cells(row: Row) -> list[str | Text]:
    reach = row.reach
    mark = Text() if reach is None else Text("yes", "green") if reach.reached else Text("NO", "bold red")
    return [*row[:-1], reach.target if reach else "", mark]
