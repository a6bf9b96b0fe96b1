"""Writes the pages of the reference that the code knows better: ``python docs/generate.py``."""

import ast
import inspect
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from jobstate import VALID_TRANSITIONS, ErrorCode, Settings, errors
from jobstate.doctor import Check

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py; a test compares. -->"


def settings() -> str:
    """Return the page of the settings: name, default, meaning."""
    meanings = _docstrings_of_fields(Settings)
    rows = [
        f"| `jobstate_{field.name}` | `{field.default!r}` | {meanings[field.name]} |"
        for field in fields(Settings)
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            _NOTE,
            "",
            "Keys of the Celery configuration, or environment variables in capitals under them",
            "(`JOBSTATE_LEASE`). They are checked once, by `jobstate.install(app)`. A duration is",
            "seconds or a `timedelta`.",
            "",
            "| setting | default | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def error_codes() -> str:
    """Return the page of the errors and the error codes."""
    codes = [f"| `{code.value}` | {code.message} |" for code in ErrorCode]
    classes = [
        f"| `{name}` | {(inspect.getdoc(error) or '').splitlines()[0].replace('``', '`')} |"
        for name, error in vars(errors).items()
        if inspect.isclass(error) and issubclass(error, errors.JobStateError)
    ]
    return "\n".join(
        [
            "# Errors",
            "",
            _NOTE,
            "",
            "## Error codes",
            "",
            "Why a job failed: `Job.error_code`. A task adds its own with",
            "`JobFailed(message, code=...)`.",
            "",
            "| code | what the owner reads |",
            "| --- | --- |",
            *codes,
            "",
            "## Exceptions",
            "",
            "All import from `jobstate`.",
            "",
            "| exception | meaning |",
            "| --- | --- |",
            *classes,
            "",
        ]
    )


def doctor() -> str:
    """Return the page of what `jobstate doctor` checks."""
    sections = [
        line
        for check in Check
        for line in (f"## {check.value}", "", check.why, "", f"**Remedy.** {check.remedy}", "")
    ]
    return "\n".join(
        [
            "# What the doctor checks",
            "",
            _NOTE,
            "",
            "`jobstate --app NAME doctor` looks at the database, the app, its broker and what the",
            "workers run with, and says what is wrong. It changes nothing. For a single job that",
            "does not move, see [what now](../operations/stuck.md).",
            "",
            *sections,
        ]
    )


def diagram() -> str:
    """Return the state diagram as text, for the README and docs/lifecycle.md."""
    (first, (second,)), *_ = VALID_TRANSITIONS.items()
    ends = sorted(VALID_TRANSITIONS[second], key=list(VALID_TRANSITIONS).index)
    start = f"{first} ──▶ {second} ──"
    lines = [
        f"{start if index == 0 else ' ' * (len(start) - 1) + branch + '─'}▶ {end}"
        for index, (end, branch) in enumerate(zip(ends, "┬├└", strict=True))
    ]
    lines[0] = lines[0].replace("──▶ " + ends[0], "─┬─▶ " + ends[0])
    return "\n".join(lines)


def _docstrings_of_fields(cls: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    return {
        before.target.id: " ".join(after.value.value.split()).replace("``", "`")
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr)
    }


PAGES = {"settings.md": settings, "errors.md": error_codes, "doctor.md": doctor}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
    print(diagram())  # noqa: T201 - to be pasted where a test expects it
