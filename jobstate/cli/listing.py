"""`list` and `stats`: many jobs at once."""

from datetime import UTC, datetime

import click

from jobstate import reading
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
@click.option("--job-type", metavar="TYPE", help="Only jobs of this type.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, reading.MAX_PAGE),
    default=50,
    show_default=True,
    help="How many jobs at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_jobs(
    target: Target,
    *,
    user_id: str | None,
    wanted: str | None,
    job_type: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, the newest first."""
    # One more than is shown tells whether there are more.
    with target.service() as service:
        if user_id is None:
            jobs = service.store.run(
                reading.list_all_jobs(status=wanted, job_type=job_type, limit=limit + 1)
            )
            more = len(jobs) > limit
        else:
            page = service.list_jobs(user_id, status=wanted, job_type=job_type, limit=limit)
            jobs, more = page.items, page.next_cursor is not None
    if as_json:
        print_json([job.to_dict(internal=True) for job in jobs[:limit]])
        return
    if not jobs:
        click.echo("There are no such jobs." if user_id or wanted or job_type else "No jobs yet.")
        return
    print_table(COLUMNS, [_line(job) for job in jobs[:limit]])
    if more:
        click.echo(f"These are the newest {limit}; there are more. See --limit.", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def stats(target: Target, *, as_json: bool) -> None:
    """Count the jobs by type and status."""
    with target.service() as service:
        counts = service.stats()
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
