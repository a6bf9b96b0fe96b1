"""The command line: ``jobstate``, and ``celery --app NAME jobstate``."""

import os
import sys

from jobstate.cli.demo import demo
from jobstate.cli.diagnosis import doctor
from jobstate.cli.group import jobstate
from jobstate.cli.listing import list_jobs, stats
from jobstate.cli.metering import metrics
from jobstate.cli.migrate import migrate
from jobstate.cli.purge import purge
from jobstate.cli.show import show
from jobstate.cli.tending import cancel, retry, sweep, workers
from jobstate.cli.watching import watch

__all__ = ["jobstate", "main"]

COMMANDS = (
    cancel,
    demo,
    doctor,
    list_jobs,
    metrics,
    migrate,
    purge,
    retry,
    show,
    stats,
    sweep,
    watch,
    workers,
)

for command in COMMANDS:
    jobstate.add_command(command)


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    try:
        jobstate(prog_name="jobstate")
    except OSError as error:  # of what is printed before there is a command, such as --help
        sys.exit(f"Error: The output could not be written: {error}. Look for a full disk.")
    finally:
        _drop_unwritten()


def _drop_unwritten() -> None:
    """Have Python, as it ends, not try once more to write what could not be: that was told."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
