"""`cancel`, `retry`, `sweep` and `workers`: looking after jobs."""

import time
from datetime import UTC, datetime
from typing import NoReturn

import click

from jobstate.cli.durations import Duration
from jobstate.cli.ending import ended_by_sigterm
from jobstate.cli.output import print_json, print_table, printable, span
from jobstate.cli.target import Target
from jobstate.errors import StoreUnavailable
from jobstate.service import JobService
from jobstate.states import ErrorCode
from jobstate.sweeper import SweepReport


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the job as a JSON object.")
@click.pass_obj
def cancel(target: Target, *, job_id: str, as_json: bool) -> None:
    """Cancel a job, on behalf of its owner.

    Exit status 1: it had landed already.
    """
    with target.service() as service:
        owner = service.get_job_internal(job_id).user_id
        job = service.cancel(job_id, owner)
    if as_json:
        print_json(job.to_dict(internal=True))
    elif not job.is_terminal:
        click.echo(f"Job {job.id} runs; it was asked to end, and is ended after a grace.")
    elif job.error_code == ErrorCode.CANCELLED:
        click.echo(f"Job {job.id} is cancelled.")
    if job.is_terminal and job.error_code != ErrorCode.CANCELLED:
        raise click.ClickException(f"Job {job.id} has landed: it is {job.status}.")


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--failed", is_flag=True, help="Do only the items that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the new job as a JSON object.")
@click.pass_obj
def retry(target: Target, *, job_id: str, failed: bool, as_json: bool) -> None:
    """Run a job again that has landed, as a new job.

    With --app its message goes out at once; else a worker's sweeper publishes it soon. Exit
    status 1: it has not landed, or cannot be run again.
    """
    with target.sweeping_service() as service:
        original = service.get_job_internal(job_id)
        if not original.is_terminal:
            raise click.ClickException(
                f"Job {original.id} has not landed: it is {original.status}, and only what has "
                "landed is run again. Wait for it, or cancel it."
            )
        job = service.retry(job_id, original.user_id, "failed" if failed else "all")
    if as_json:
        print_json(job.to_dict(internal=True))
    else:
        click.echo(f"Job {job.id} is {job.status}; it retries job {job.retry_of}.")


@click.command()
@click.option(
    "--every",
    type=Duration(0.1),
    metavar="SECONDS",
    help="Go on until Ctrl-C, with a pause between rounds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each round.")
@click.pass_obj
def sweep(target: Target, *, every: float | None, as_json: bool) -> None:
    """See that jobs land that nobody looks after any more.

    Every worker does this too; it is for when none runs. Give --app, so that what a broker lost
    can be published again. One round takes up to a lease when workers are silent: that long the
    database must have been seen, so that those who merely could not reach it have time to renew.
    """
    with target.sweeping_service() as service:
        report = service.sweep()  # What is wrong from the start ends the command.
        while every is None and report.unjudged:
            time.sleep(service.settings.sweep_interval)
            report = service.sweep()
        _print_report(report, as_json=as_json)
        if every is not None:
            with ended_by_sigterm():
                _go_on(service, every, as_json=as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def workers(target: Target, *, as_json: bool) -> None:
    """List the workers, and the jobs that they hold.

    Those that are known to be dead are left out.
    """
    with target.service() as service:
        found = service.workers()
    if as_json:
        print_json([worker.to_dict() for worker in found])
        return
    if not found:
        click.echo("No worker runs.")
        return
    now = datetime.now(UTC)
    rows = [
        [
            printable(worker.hostname),
            str(worker.pid),
            printable(", ".join(worker.queues)),
            "alive" if worker.alive else "silent",
            span(now - worker.heartbeat_at),
            str(len(worker.holds)),
            " ".join(map(str, worker.holds)),
        ]
        for worker in found
    ]
    print_table(("WORKER", "PID", "QUEUES", "LEASE", "HEARTBEAT", "HOLDS", "JOBS"), rows)


def _go_on(service: JobService, every: float, *, as_json: bool) -> NoReturn:
    """Sweep round after round; while the database is away, say so once and try again."""
    away = False
    while True:
        time.sleep(every)
        try:
            report = service.sweep()
        except StoreUnavailable as error:
            if not away:
                click.echo(f"{printable(str(error))} Trying again.", err=True)
            away = True
        else:
            away = False
            _print_report(report, as_json=as_json)


def _print_report(report: SweepReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
    told = ", ".join(f"{number} {name}" for name, number in report.to_dict().items() if number)
    click.echo(told or "Nothing was due.")
