"""What the demo says when all jobs have landed."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from jobstate.cli.demo.plan import DemoFailed, Seen
from jobstate.cli.demo.screen import news
from jobstate.cli.demo.stage import Stage
from jobstate.cli.output import size, status
from jobstate.states import JobStatus

_ENDINGS = (JobStatus.COMPLETED, JobStatus.PARTIAL, JobStatus.FAILED)


def print_summary(seen: Sequence[Seen], stage: Stage) -> None:
    """Say how the jobs landed, and where their files are.

    Raises:
        DemoFailed: One did not land as planned.
    """
    landed = Counter(one.job.status for one in seen)
    counts = ", ".join(f"{landed[each]} {each}" for each in _ENDINGS)
    click.echo()
    click.secho(f"All {len(seen)} jobs have landed: {counts}.", bold=True)
    for one in seen:
        if one.job.status is not JobStatus.COMPLETED:
            click.echo(f"  {status(one.job.status)}: {one.planned.title}: {news(one.job)}")
    if astray := [one for one in seen if not one.as_planned]:
        raise DemoFailed(
            "Not as planned: "
            + ", ".join(
                f"{one.planned.title} ({one.job.id}) is {one.job.status}, not {one.planned.lands}"
                for one in astray
            )
            + f". See the worker's log: {stage.worker.log}"
        )
    click.echo("That is on purpose: a broken picture, bad rows, a month without orders.")
    assets = [
        asset
        for one in seen
        for asset in stage.jobs.service.get_job_assets(one.job.id, one.job.user_id)
    ]
    total = size(sum(asset.file_size for asset in assets))
    click.echo()
    click.echo(f"Files  {_near(stage.outputs)}/OWNER/JOB/ATTEMPT/  ({len(assets)} files, {total})")
    click.echo(f"Log    {_near(stage.worker.log)}")


def print_further(seen: Sequence[Seen], stage: Stage, *, keep: bool) -> None:
    """Say how to look at the jobs with the other commands."""
    program = _program()
    click.echo()
    if not keep:
        click.echo("To look at the jobs yourself, leave everything running:")
        click.echo(f"  {program} demo --keep, or demo --web for a page in your browser")
        click.echo(f"and use what it prints: {program} list, {program} show ID")
        return
    partial = next(one.job for one in seen if one.job.status is JobStatus.PARTIAL)
    if stage.web is not None:
        click.echo(f"Page   {stage.web.url}")
        click.echo()
    click.echo("Everything runs until Ctrl-C. In another terminal:")
    for command in (
        f"export JOBSTATE_DATABASE_URL={stage.postgres.url}",
        f"export JOBSTATE_BROKER_URL={stage.redis.url}",
        f"{program} list",
        f"{program} show {partial.id}",
        f"{program} stats",
    ):
        click.echo(f"  {command}")


def _program() -> str:
    """Return how this program is called here."""
    called = Path(sys.argv[0])
    on_path = shutil.which("jobstate")
    if called.name != "jobstate" or (on_path and Path(on_path).samefile(called)):
        return "jobstate"
    return _near(called.absolute())


def _near(path: Path) -> str:
    """Return a path as it is written from the current directory."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
