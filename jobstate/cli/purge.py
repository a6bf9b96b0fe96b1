"""`purge`: deleting old jobs."""

from datetime import timedelta

import click

from jobstate.cli.durations import MOST_DAYS, Duration
from jobstate.cli.output import print_json
from jobstate.cli.target import Target
from jobstate.states import TERMINAL_STATUSES, JobStatus


@click.command()
@click.argument("days", type=Duration(0, MOST_DAYS))
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(sorted(status.value for status in TERMINAL_STATUSES)),
    help="Only jobs of this status; may be repeated. Default: all that have landed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the number as a JSON object.")
@click.pass_obj
def purge(target: Target, *, days: float, statuses: tuple[str, ...], as_json: bool) -> None:
    """Delete jobs that landed more than DAYS days ago.

    With their history, items and assets. Files that jobstate has stored go first; give --app, or
    set JOBSTATE_STORAGE_URL, so that they are found. Jobs stay that are the parents of live ones,
    or whose files cannot be removed now.
    """
    wanted = [JobStatus(status) for status in statuses] or sorted(TERMINAL_STATUSES)
    with target.service() as service:
        purged = service.purge(timedelta(days=days), wanted)
    if as_json:
        print_json({"purged": purged})
    else:
        click.echo(f"{purged} jobs were purged.")
