"""`list` and `stats`: many jobs at once."""

from datetime import UTC, datetime
from typing import Any

import click

from jobstate import paging, reading
from jobstate.cli.durations import Duration
from jobstate.cli.output import (
    compact,
    moment,
    print_json,
    print_table,
    printable,
    span,
    status,
)
from jobstate.cli.target import Target
from jobstate.records import Job
from jobstate.states import JobStatus

COLUMNS = ("ID", "OWNER", "TYPE", "STATUS", "PROGRESS", "AGE", "MESSAGE")


@click.command("list")
@click.option("--user-id", metavar="ID", help="Only jobs of this owner.")
@click.option(
    "--status",
    "wanted",
    type=click.Choice([each.value for each in JobStatus]),
    help="Only jobs in this status.",
)
@click.option(
    "--job-type",
    metavar="TYPE",
    help="Only jobs of this type; of everybody's, among the last 100,000 that have landed.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, paging.MAX_PAGE),
    default=50,
    show_default=True,
    help="How many jobs at most.",
)
@click.option("--cursor", metavar="TEXT", help="Go on where an earlier list said there are more.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_jobs(
    target: Target,
    *,
    user_id: str | None,
    wanted: str | None,
    job_type: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List jobs: those of an owner with the newest first.

    Those of everybody begin with the live ones, the newest first; then come those that have landed,
    the last one first.
    """
    which: dict[str, Any] = {"status": wanted, "job_type": job_type}
    where: dict[str, Any] = {"limit": limit, "cursor": cursor}
    with target.service() as service:
        if user_id is None:
            page = service.store.run(reading.list_all_jobs(**which, **where))
        else:
            page = service.list_jobs(user_id, **which, **where)
    if as_json:
        print_json([job.to_dict(internal=True) for job in page.items])
    elif page.items:
        print_table(COLUMNS, [_line(job) for job in page.items])
    else:
        narrowed = user_id or wanted or job_type or cursor
        click.echo("There are no such jobs." if narrowed else "No jobs yet.")
    if page.next_cursor is not None:
        click.echo(f"There are more: --cursor {page.next_cursor}", err=True)


@click.command()
@click.option(
    "--landed-within",
    type=Duration(0),
    metavar="SECONDS",
    help="Only live jobs, and those that have landed within so many seconds. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def stats(target: Target, *, landed_within: float | None, as_json: bool) -> None:
    """Count the jobs by type and status.

    To count all of them takes 0.13 s for each million, and is given up after 15 s; see
    --landed-within.
    """
    with target.service() as service:
        counts = service.stats(landed_within=landed_within)
    if as_json:
        print_json(counts.to_dict())
        return
    rows = [
        [printable(name), *(str(of_type.get(each, 0)) for each in JobStatus)]
        for name, of_type in counts.by_type.items()
    ]
    rows.append(["all", *(str(counts.by_status[each]) for each in JobStatus)])
    print_table(["TYPE", *(each.upper() for each in JobStatus)], rows)
    if (oldest := counts.oldest_queued_at) is not None:
        waits = span(datetime.now(UTC) - oldest)
        click.echo(f"The oldest queued job was created {waits} ago, at {moment(oldest)}.")


def _line(job: Job) -> list[str]:
    if job.status is JobStatus.COMPLETED and job.result is not None:
        told = compact(job.result)
    else:
        told = printable((job.error_message or job.progress_message) or "")
    return [
        str(job.id),
        printable(str(job.user_id)),
        printable(job.job_type),
        status(job.status),
        f"{job.progress} %",
        span(datetime.now(UTC) - job.created_at),
        told,
    ]
