"""The table of all fates in docs/lifecycle.md: read, compared with the tests, and written."""

import importlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.fates.fate import COLUMNS, Fate

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
BEGIN, END = "<!-- fates: begin -->", "<!-- fates: end -->"

FILES = (
    "bodies",
    "retries",
    "limits",
    "messages",
    "processes",
    "workers",
    "shutdowns",
    "links",
    "canvas",
)
"""The files of the fates' tests, in the order of the table."""

Cells = Mapping[tuple[str, str], str]
"""What the table says of a fate (first) in a column."""

_NOWHERE = "-"


def declared() -> list[Fate]:
    """List every fate that has a test."""
    modules = (importlib.import_module(f"tests.fates.test_{name}") for name in FILES)
    found = (getattr(test, "fate", None) for module in modules for test in vars(module).values())
    return [fate for fate in found if fate is not None]


def cell(status: str, code: str | None, seconds: float) -> str:
    """Write down one landing."""
    return f"{status}{f' `{code}`' if code else ''}, {seconds:.1f} s"


def landing_in(cell: str) -> str:
    """Return what a cell says but for the seconds."""
    return cell.rpartition(", ")[0]


def committed() -> Cells:
    """Read the table of the page."""
    found = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in found.splitlines() if line.startswith("| ")]
    rows = [[entry.strip() for entry in line.strip("|").split("|")] for line in lines]
    return {
        (name, column): entry
        for name, *entries in rows[2:]
        for column, entry in zip(rows[0][1:], entries, strict=True)
        if entry != _NOWHERE
    }


def write(seen: Cells) -> None:
    """Write what was seen into the page; what was not seen this time stays as it is."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    rendered = render(declared(), {**committed(), **seen})
    PAGE.write_text(f"{before}{BEGIN}{rendered}{END}{after}")


def render(fates: Iterable[Fate], cells: Cells) -> str:
    """Return the table, and why some fates are not everywhere."""
    lines = ["", "", _row(["fate", *COLUMNS]), _row(["---"] * (len(COLUMNS) + 1))]
    reasons: dict[str, list[str]] = defaultdict(list)
    for fate in fates:
        there = {column: cells.get((fate.name, column), _NOWHERE) for column in fate.columns}
        known = [there.get(column, _NOWHERE) for column in COLUMNS]
        lines.append(_row([fate.name, *known]))
        if fate.why:
            reasons[fate.why].append(fate.name)
    lines += ["", "A dash: it cannot happen there, or not like this.", ""]
    lines += [f"- {_listed(names)}: {why}" for why, names in reasons.items()]
    return "\n".join([*lines, ""])


def _row(entries: Iterable[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _listed(names: list[str]) -> str:
    text = ", ".join(names)
    return text[0].upper() + text[1:]
