"""``python -m tests.chaos``: many jobs under a random, seeded schedule of all faults, and a count.

Ends with exit status 0 when every job landed exactly once, none ran twice that may not, no next
step was lost, and the history holds no illegal event.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from jobstate import StoreUnavailable
from tests.chaos.site import Site

OWNER = uuid4()
KINDS = ("once", "again", "retries", "chain", "replaced", "fails")
PATIENCE = 60.0
"""How long nothing may land once the faults are over, in seconds, while jobs are live."""

DOCUMENT = Path(__file__).parents[2] / "docs" / "lifecycle.md"
MARKS = ("<!-- chaos: written by make chaos -->\n", "<!-- /chaos -->\n")

TERMINAL = "to_status in ('completed', 'failed', 'partial')"
COUNTS: dict[str, str] = {
    "jobs": "select count(*) from jobstate.jobs",
    "landed exactly once": f"""
        select count(*) from (
            select job_id from jobstate.job_events where {TERMINAL}
            group by job_id having count(*) = 1
        ) as once""",  # noqa: S608 - a constant
    "landed more than once (must be 0)": f"""
        select count(*) from (
            select job_id from jobstate.job_events where {TERMINAL}
            group by job_id having count(*) > 1
        ) as twice""",  # noqa: S608 - a constant
    "live (must be 0)": """
        select count(*) from jobstate.jobs where completed_at is null or followups_pending""",
    "held (must be 0)": "select count(*) from jobstate.jobs where worker_id is not null",
    "completed first steps without a next one (must be 0)": """
        select count(*) from jobstate.jobs as first
        where job_type = 'first' and status = 'completed'
            and not exists (select from jobstate.jobs where parent_id = first.id)""",
    "first steps with two next ones (must be 0)": """
        select count(*) from (
            select parent_id from jobstate.jobs where job_type = 'step' and parent_id is not null
            group by parent_id having count(*) > 1
        ) as doubled""",
    "illegal events (must be 0)": """
        select count(*) from jobstate.job_events
        where event = 'transition' and (coalesce(from_status, ''), to_status) not in (
            ('', 'queued'), ('queued', 'processing'), ('processing', 'completed'),
            ('processing', 'partial'), ('processing', 'failed')
        )""",
}
STATUSES = """
    select status || coalesce(' ' || error_code, ''), count(*) from jobstate.jobs
    group by 1 order by 1
"""


def main() -> int:
    """Run, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--write", action="store_true", help="write the figures into the docs")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - a schedule, no secret
    with tempfile.TemporaryDirectory() as directory, Site(Path(directory), chance) as site:
        faults = run(site, options.jobs, options.seconds)
        figures = count(site, faults)
    if any(number for name, number in figures.items() if "must be 0" in name):
        return 1
    if options.write:
        write(figures, faults, options)
    return 0


def run(site: Site, jobs: int, seconds: float) -> Counter[str]:
    """Enqueue jobs while faults happen; return how often each happened."""
    faults: Counter[str] = Counter()
    enqueued: list[UUID] = []
    ends_at = time.monotonic() + seconds
    fault_at = time.monotonic() + 5
    asked = 0
    while time.monotonic() < ends_at:
        due = jobs - int(jobs * (ends_at - time.monotonic()) / seconds)
        while asked < due:
            asked += 1
            enqueued += enqueue(site.chance.choice(KINDS))
        site.revive()
        if time.monotonic() > fault_at:
            fault = site.chance.choice(site.faults(enqueued[-50:]))
            faults[fault.__name__.replace("_", " ")] += 1
            fault()
            fault_at = time.monotonic() + site.chance.uniform(0.5, 2)
        time.sleep(0.05)
    return faults


def enqueue(kind: str) -> list[UUID]:
    """Enqueue a job; the database may be away, and then nothing was accepted."""
    from tests.chaos import tasks  # noqa: PLC0415 - needs the servers' addresses

    try:
        if kind == "chain":
            steps = tasks.first.s().set(user_id=OWNER) | tasks.step.s()
            return [UUID(steps.apply_async().parent.id)]
        return [getattr(tasks, kind).enqueue(user_id=OWNER).id]
    except StoreUnavailable:
        return []


def count(site: Site, faults: Counter[str]) -> Mapping[str, int]:
    """Wait for the rest, then print what there is to say, and return it."""
    url = site.postgres.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:

        def ask(name: str) -> int:
            return int(connection.execute(COUNTS[name].encode()).fetchone()[0])  # type: ignore[index]

        live, moved_at = -1, time.monotonic()
        while (now := ask("live (must be 0)")) and time.monotonic() < moved_at + PATIENCE:
            if now != live:
                live, moved_at = now, time.monotonic()
            site.revive()
            time.sleep(0.5)
        starts = (site.directory / "runs.log").read_text().split("\n")[:-1]
        runs = Counter(tuple(line.split()[:2]) for line in starts)
        twice = sum(number > 1 for (kind, _), number in runs.items() if kind == "once")
        figures = {
            "faults injected": faults.total(),
            "bodies started": len(starts),
            "run twice although at-most-once (must be 0)": twice,
            **{name: ask(name) for name in COUNTS},
        }
        for name, number in [*faults.most_common(), *connection.execute(STATUSES).fetchall()]:
            print(f"  {name:<52} {number:>6}")
    for name, number in figures.items():
        print(f"{name:<54} {number:>6}")
    return figures


def write(figures: Mapping[str, int], faults: Counter[str], options: argparse.Namespace) -> None:
    """Write the figures into the docs."""
    text = DOCUMENT.read_text()
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    rows = [f"| {name} | {number:,} |" for name, number in figures.items()]
    done = ", ".join(f"{name} {number}" for name, number in faults.most_common())
    table = "\n".join(["| | |", "| --- | ---: |", *rows])
    intro = (
        f"`make chaos` (seed {options.seed}): {options.jobs:,} calls in {options.seconds:g} "
        f"seconds, two workers with four processes each, and these faults: {done}."
    )
    DOCUMENT.write_text(f"{before}{MARKS[0]}\n{intro}\n\n{table}\n\n{MARKS[1]}{after}")


if __name__ == "__main__":
    sys.exit(main())
