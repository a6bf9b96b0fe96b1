"""What the demo runs, and how each job is to land."""

from dataclasses import dataclass
from typing import Any

import click

from jobstate.celery import JobState
from jobstate.records import Job
from jobstate.states import JobStatus

ORDERS = 60_000
PICTURES = 24
GARDEN = 16
PEOPLE = 20_000
BAD_PEOPLE = 7
DOUBLE_PEOPLE = 3
FIRMS = 10_000
INPUT = f"{ORDERS:,} orders, {PICTURES + GARDEN} pictures, {PEOPLE + FIRMS:,} rows of CSV"


class DemoFailed(click.ClickException):
    """The demo cannot go on, or did not show what it should."""


@dataclass(frozen=True)
class Planned:
    """A job of the demo: the task and its arguments, and the status it is to land in."""

    owner: str
    title: str
    task: str
    args: tuple[Any, ...]
    lands: JobStatus = JobStatus.COMPLETED


@dataclass(frozen=True)
class Seen:
    """A planned job as it was when it was last read; `assets` is how many files it has."""

    planned: Planned
    job: Job
    assets: int = 0

    @property
    def as_planned(self) -> bool:
        """Whether the job has the status that it was to land in."""
        return self.job.status is self.planned.lands


EXPORT = "tasks.exports.export_orders"
IMPORT = "tasks.imports.import_customers"
REPORT = "tasks.reports.monthly_report"
THUMBNAILS = "tasks.thumbnails.make_thumbnails"

PLAN = (
    Planned("ada", "export 2024", EXPORT, (2024,)),
    # The last picture is broken.
    Planned("grace", "thumbnails photos", THUMBNAILS, ("photos",), JobStatus.PARTIAL),
    # Some rows are bad.
    Planned("ada", "import people.csv", IMPORT, ("people.csv",), JobStatus.PARTIAL),
    Planned("grace", "export 2025", EXPORT, (2025,)),
    Planned("ada", "report 2026-03", REPORT, (2026, 3)),
    Planned("ada", "thumbnails garden", THUMBNAILS, ("garden",)),
    Planned("grace", "import firms.csv", IMPORT, ("firms.csv",)),
    # The orders end in October.
    Planned("ada", "report 2026-12", REPORT, (2026, 12), JobStatus.FAILED),
    Planned("grace", "report 2024-02", REPORT, (2024, 2)),
    Planned("grace", "export 2026", EXPORT, (2026,)),
    Planned("ada", "report 2025-12", REPORT, (2025, 12)),
    Planned("grace", "report 2026-10", REPORT, (2026, 10)),
)


def enqueue(jobs: JobState) -> list[Seen]:
    """Enqueue every planned job."""
    return [
        Seen(planned, jobs.enqueue(planned.task, planned.args, user_id=planned.owner))
        for planned in PLAN
    ]
