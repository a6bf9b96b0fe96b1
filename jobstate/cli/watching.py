"""`watch`: jobs while they change."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any
from uuid import UUID

import click

from jobstate import reading
from jobstate.cli.durations import Duration
from jobstate.cli.output import COLOURS, compact, moment, on_terminal, printable, span, status
from jobstate.cli.target import Target
from jobstate.errors import StoreUnavailable
from jobstate.records import Job
from jobstate.service import JobService
from jobstate.states import JobStatus

Show = Callable[[Sequence[Job]], None]
"""Shows the jobs as they are."""

MOST = 200
"""How many jobs of a kind are watched at once."""

LINGER = 30.0
"""How long a job is shown after its landing, in seconds."""

_FRAME = 6
"""How many lines of a terminal the table needs besides those of the jobs."""


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option(
    "--every",
    type=Duration(0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="The pause between two looks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object in a line per change.")
@click.pass_obj
def watch(target: Target, *, job_id: str | None, every: float, as_json: bool) -> None:
    """Watch a job until it has landed, or all live ones.

    On a terminal this is a live table, elsewhere a line for each change. All live jobs are
    watched until Ctrl-C. Exit status 1: the job has failed.
    """
    with target.service() as service:
        look = _one(service, job_id) if job_id is not None else _all(service)
        away = False
        jobs = look()  # What is wrong from the start ends the command; later it is waited out.
        with _screen(as_json=as_json) as show:
            show(jobs)
            while job_id is None or not jobs[0].is_terminal:
                time.sleep(every)
                jobs, away = _patiently(look, jobs, away=away)
                show(jobs)
    if job_id is not None and jobs[0].status is JobStatus.FAILED:
        raise click.ClickException(f"Job {jobs[0].id} has failed: {_news(jobs[0])}")


def _one(service: JobService, job_id: str) -> Callable[[], list[Job]]:
    return lambda: [service.get_job_internal(job_id)]


def _all(service: JobService) -> Callable[[], list[Job]]:
    seen: set[UUID] = set()

    def look() -> list[Job]:
        jobs = service.store.run(reading.watched(seen, MOST, LINGER))
        seen.clear()
        seen.update(job.id for job in jobs if not job.is_terminal)
        return jobs

    return look


def _patiently(
    look: Callable[[], list[Job]], before: list[Job], *, away: bool
) -> tuple[list[Job], bool]:
    """Look; while the database is away, go on with what was there before, and say so once."""
    try:
        return look(), False
    except StoreUnavailable as error:
        if not away:
            click.echo(f"{printable(str(error))} Trying again.", err=True)
        return before, True


def _screen(*, as_json: bool) -> AbstractContextManager[Show]:
    if as_json:
        return _changes(lambda job: json.dumps(job.to_dict(internal=True)))
    if not on_terminal():
        return _changes(_line)
    if find_spec("rich") is None:
        click.echo('For a live table, install rich: pip install "jobstate[cli]"', err=True)
        return _changes(_line)
    return _table()


@contextmanager
def _changes(text_of: Callable[[Job], str]) -> Iterator[Show]:
    shown: dict[UUID, tuple[object, ...]] = {}

    def show(jobs: Sequence[Job]) -> None:
        for job in jobs:
            state = (job.status, job.attempt, job.progress, job.progress_current, _news(job))
            if shown.get(job.id) != state:
                click.echo(text_of(job))
            shown[job.id] = state
        for gone in shown.keys() - {job.id for job in jobs}:
            del shown[gone]

    yield show


def _line(job: Job) -> str:
    gap = " " * (len(JobStatus.PROCESSING) - len(job.status))
    what = f"{moment(job.updated_at)}  {job.id}  {printable(job.job_type)}"
    return f"{what}  {status(job.status)}{gap}  {job.progress:>3} %  {_news(job)}".rstrip()


@contextmanager
def _table() -> Iterator[Show]:
    # rich is an extra: every other command does without it.
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(), auto_refresh=False) as live:
        yield lambda jobs: live.update(_rows(jobs, live.console.height - _FRAME), refresh=True)


def _rows(jobs: Sequence[Job], room: int) -> Any:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as above
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    for title in ("JOB", "TYPE", "STATUS", "", "", "TIME"):
        table.add_column(title, no_wrap=True)
    table.add_column("MESSAGE", no_wrap=True, ratio=1)
    # What runs comes first, then what waits, then what has landed; of these, the latest.
    ranked = sorted(jobs, key=lambda job: (job.is_terminal, job.status is JobStatus.QUEUED))
    for job in ranked[: max(room, 1)]:
        table.add_row(
            str(job.id)[:8],
            Text(printable(job.job_type)),
            Text(job.status, style=COLOURS[job.status]),
            ProgressBar(total=100, completed=job.progress, width=12),
            f"{job.progress:>3} %",
            span(job.duration),
            Text(_news(job), overflow="ellipsis"),
        )
    if (hidden := len(ranked) - max(room, 1)) > 0:
        table.caption = f"and {hidden} more"
    elif not ranked:
        table.caption = "No jobs are live. Ctrl-C ends."
    return table


def _news(job: Job) -> str:
    """Return what there is to say about a job now, in one line."""
    if job.status is JobStatus.COMPLETED:
        return "" if job.result is None else compact(job.result)
    if job.retry_at is not None:
        return f"runs again at {moment(job.retry_at)}"
    said = (job.error_code, job.error_message) if job.is_terminal else (job.progress_message,)
    return printable(": ".join(filter(None, said)))
