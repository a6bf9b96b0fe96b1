"""How the demo shows its jobs: a live table on a terminal, a line for each change elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any

import click

from jobstate.cli.demo.plan import Seen
from jobstate.cli.output import COLOURS, on_terminal, printable, span, status
from jobstate.records import Job
from jobstate.states import JobStatus

Show = Callable[[Sequence[Seen], float], None]
"""Shows the jobs as they are, so many seconds after the start."""

_WIDE = 110
"""From how many columns on there is room for long bars."""


def screen() -> AbstractContextManager[Show]:
    """Choose how to show: a live table needs a terminal, and rich."""
    if not on_terminal():
        return lines()
    if find_spec("rich") is None:
        click.echo('For a live table, install rich: pip install "jobstate[cli]"', err=True)
        return lines()
    return live_table()


@contextmanager
def lines() -> Iterator[Show]:
    """Print a line for each change of a job."""
    last: dict[object, tuple[object, ...]] = {}

    def show(seen: Sequence[Seen], elapsed: float) -> None:
        for one in seen:
            job = one.job
            now = (job.status, job.progress, job.attempt, news(job))
            if last.get(job.id) != now:
                last[job.id] = now
                gap = " " * (len(JobStatus.PROCESSING) - len(job.status))
                what = f"{one.planned.owner:<5}  {one.planned.title:<17}"
                where = f"{status(job.status)}{gap}  {job.progress:>3} %"
                click.echo(f"{elapsed:5.1f} s  {what}  {where}  {news(job)}".rstrip())

    yield show


@contextmanager
def live_table() -> Iterator[Show]:
    """Keep one table up to date, in colour; its last state stays on the screen."""
    # rich is an extra: the demo does without it, and so does every other command.
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        yield lambda seen, _: live.update(_table(seen, wide=console.width >= _WIDE), refresh=True)


def news(job: Job) -> str:
    """Return what there is to say about a job now, in one line."""
    if job.status is JobStatus.COMPLETED:
        return ", ".join(f"{name}: {printable(str(it))}" for name, it in job.result.items())
    return printable((job.error_message or job.progress_message) or "")


def _table(seen: Sequence[Seen], *, wide: bool) -> Any:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as above
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0, expand=True)
    for title in ("OWNER", "JOB", "STATUS", "PROGRESS"):
        table.add_column(title, no_wrap=True)
    table.add_column("MESSAGE", no_wrap=True, ratio=1)
    for title in ("ATTEMPT", "ASSETS", "TIME"):
        table.add_column(title, no_wrap=True, justify="right")
    for one in seen:
        job, colour = one.job, COLOURS[one.job.status]
        table.add_row(
            one.planned.owner,
            one.planned.title,
            Text(job.status.value, style=colour),
            ProgressBar(
                completed=job.progress,
                width=24 if wide else 8,
                complete_style=colour,
                finished_style=colour,
            ),
            Text(news(job), overflow="ellipsis"),
            str(job.attempt or ""),
            str(one.assets or ""),
            span(job.duration),
        )
    return table
