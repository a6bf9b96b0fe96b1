"""Writes the figures as tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.measures import ratio

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

BUSY = """\
The machine had more to do than it has cores. The rates then say little: each wait for an answer is
a wait for a core, too, and jobstate waits where plain Celery does not. The CPU, the commits and the
bytes for one job say more."""

TARGETS = (
    ("drain", "plain Celery", 0.80),
    ("drain_4", "plain Celery", 0.90),
    ("drain", "Celery, results in the database", 2.2),
    ("drain", "django-celery-results, as shipped", 6.0),
    ("drain", "django-celery-results, connections kept", 1.8),
    ("drain", "an ORM row written by hand", 3.0),
    ("progress", "Celery, results in Redis", 12.0),
    ("progress", "Celery, results in the database", 60.0),
)
"""What is drained, the other one, and how many times as fast jobstate is to be."""

NAMES = {
    "jobstate": "jobstate",
    "jobstate, acks_late": "acks_late",
    "jobstate's statements alone": "its statements alone",
    "its statements alone, acks_late": "acks_late",
    "two bare statements": "two bare statements",
}
"""Who is held against the targets: the library, and what no library could do better than."""


def text_of(results: dict[str, Any]) -> str:
    """Return all tables."""
    how = "one round, which is little" if results["quick"] else f"{results['rounds']} rounds"
    parts = [
        _origin(results, how),
        *([BUSY] if results["load"] > results["cores"] else []),
        "Targets, as a ratio of jobs per second in the same rounds:",
        _table(("drained", "to", "target", *NAMES.values()), _targets(results)),
    ]
    titles = {
        "drain": "A queue of jobs that do nothing, prefork, `-c 2`:",
        "drain_4": "The same with `-c 4`:",
        "progress": "Jobs that report a hundred times each, `-c 2`:",
    }
    for kind, title in titles.items():
        if kind in results:
            parts += [title, _drain(results[kind])]
    parts += ["Postgres's work for one job:", _floor(results)]
    for kind, title in (
        ("reads", "Reads, µs:"),
        ("sweeper", "The sweeper, µs:"),
        ("memory", "Memory:"),
    ):
        rows = [(name, f"{value:,.1f}") for name, value in results[kind].items()]
        parts += [title, _table(("", ""), rows)]
    for name, output in results["programs"].items():
        if output:
            parts += [f"`python -m benchmarks.{name}`:", f"```text\n{output}\n```"]
    return "\n\n".join(parts)


def _origin(results: dict[str, Any], how: str) -> str:
    return (
        f"{results['date']}, {results['machine']}, Python {results['python']}, load "
        f"{results['load']:.1f} at the beginning; medians of {how}, in {results['seconds']} s."
    )


def write(text: str) -> None:
    """Put the tables into the page."""
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def _targets(results: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for kind, other, target in TARGETS:
        rates = {row["name"]: row["rates"] for row in results.get(kind, ())}
        if other not in rates:
            continue
        yield (
            {"drain": "-c 2", "drain_4": "-c 4", "progress": "100 reports"}[kind],
            other,
            f"{target:g}",
            *(f"{ratio(rates[name], rates[other]):.2f}" if name in rates else "" for name in NAMES),
        )


def _drain(rows: list[dict[str, Any]]) -> str:
    head = (
        *("", "ratio", "jobs/s", "enqueued/s", "CPU µs: main", "pool", "Postgres", "broker"),
        *("statements", "commits", "WAL bytes", "dead rows"),
    )
    cpu = ("main_cpu", "pool_cpu", "postgres_cpu", "broker_cpu")
    return _table(
        head,
        [
            (
                row["name"],
                f"{row['ratio']:.2f}",
                f"{row['jobs_per_second']:,.0f}",
                f"{row['enqueued_per_second']:,.0f}",
                *(f"{row[key]:,.0f}" for key in cpu),
                f"{row['statements']:.1f}",
                f"{row['commits']:.1f}",
                f"{row['wal_bytes']:,.0f}",
                f"{row['dead_tuples']:.1f}",
            )
            for row in rows
        ],
    )


def _floor(results: dict[str, Any]) -> str:
    ours = next(row for row in results["drain"] if row["name"] == "jobstate")
    floor = results["floor"]
    return _table(
        ("", "jobs/s", "CPU µs", "WAL bytes"),
        [
            (
                "the same statements by pgbench, 2 clients",
                f"{floor['jobs_per_second']:,.0f}",
                f"{floor['postgres_cpu']:,.0f}",
                f"{floor['wal_bytes']:,.0f}",
            ),
            (
                "jobstate: enqueue, take, land",
                "",
                f"{ours['postgres_total']:,.0f}",
                f"{ours['wal_bytes']:,.0f}",
            ),
        ],
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
