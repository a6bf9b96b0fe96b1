"""What the commands print: text that is safe in a terminal, tables, times, JSON."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from unicodedata import combining, east_asian_width

import click

from jobstate.states import JobStatus

COLOURS = {
    JobStatus.QUEUED: "bright_black",
    JobStatus.PROCESSING: "cyan",
    JobStatus.COMPLETED: "green",
    JobStatus.PARTIAL: "yellow",
    JobStatus.FAILED: "red",
}

# Control characters could move the cursor or retitle the terminal, and the marks for
# right-to-left text could show one thing and mean another. Lone surrogates cannot be printed.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STYLE = re.compile("\x1b\\[[0-9;]*m")
_GAP = "  "


def on_terminal() -> bool:
    """Return whether somebody watches what is printed."""
    # There is no stdout at all when it was closed before the start.
    return sys.stdout is not None and sys.stdout.isatty()


def printable(text: str) -> str:
    """Return text in one line that shows what it holds and does nothing else."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def status(value: JobStatus) -> str:
    """Return a status in its colour."""
    return click.style(value.value, fg=COLOURS[value])


def moment(at: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def span(duration: timedelta | None) -> str:
    """Return how long something took, in the unit that tells most."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1f} s"


def size(count: int) -> str:
    """Return a number of bytes, in the unit that tells most."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def compact(value: object) -> str:
    """Return a value as JSON in one line."""
    return printable(json.dumps(value, ensure_ascii=False))


def print_json(value: Any) -> None:
    """Print JSON. It is ASCII, so that it survives every pipe."""
    click.echo(json.dumps(value, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Print rows below their titles, in columns.

    On a terminal, lines end at its edge; elsewhere nothing is cut off.
    """
    head = [click.style(title, bold=True) for title in titles]
    lines = [head, *rows] if head else rows
    columns = [column for column in zip(*lines, strict=True) if any(column)]
    widths = [max(map(_width, column)) for column in columns]
    edge = shutil.get_terminal_size().columns if on_terminal() else None
    for line in zip(*columns, strict=True):
        padded = (
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        )
        text = (indent + _GAP.join(padded)).rstrip()
        click.echo(text if edge is None else _cut(text, edge))


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    plain = _STYLE.sub("", text)
    return sum(
        0 if combining(character) else 1 + (east_asian_width(character) in "WF")
        for character in plain
    )


def _cut(text: str, columns: int) -> str:
    if _width(text) <= columns:
        return text
    kept, left = [], columns - 1
    for part in re.split(f"({_STYLE.pattern})", text):
        if _STYLE.fullmatch(part):
            kept.append(part)
            continue
        for character in part:
            left -= _width(character)
            if left < 0:
                break
            kept.append(character)
    return "".join(kept) + "…"
