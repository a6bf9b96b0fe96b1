"""The group of all commands: what they share, and how an error becomes one line."""

import os
import sys
from io import TextIOWrapper
from typing import Any

import click

from jobstate.cli.output import printable
from jobstate.cli.target import Target
from jobstate.errors import ConfigurationError, JobStateError

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells give it."""


class Group(click.Group):
    """Ends a command that fails with exit status 1 and one line on stderr.

    This is done here and not in `main`, so that it holds below ``celery`` too.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except JobStateError as error:
            raise click.ClickException(one_line(error)) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's main knows them
        except Exception as error:
            if os.environ.get("JOBSTATE_TRACEBACK"):
                raise
            raise click.ClickException(
                f"{type(error).__name__}: {printable(str(error))}. "
                "This was not expected: set JOBSTATE_TRACEBACK=1 to see where it comes from."
            ) from error


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-A",
    "--app",
    metavar="NAME",
    help="A Celery app, as for celery --app: its settings are used.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="The database of the jobs. Default: the app's, else JOBSTATE_DATABASE_URL.",
)
@click.version_option(package_name="jobstate", message="%(prog)s %(version)s")
@click.pass_context
def jobstate(ctx: click.Context, app: str | None, database_url: str | None) -> None:
    """Look at durable jobs and look after them.

    Exit status: 0 done, 1 the answer is no or the database cannot be used, 2 wrong usage,
    130 after Ctrl-C. Begin with migrate; when something is wrong, ask the doctor.
    """
    # Below celery, the app of `celery --app` is there already.
    around = ctx.obj
    ctx.obj = Target(app or getattr(around, "app", None), database_url)
    if os.environ.get("NO_COLOR") or getattr(around, "no_color", False):
        ctx.color = False
    if isinstance(sys.stdout, TextIOWrapper):
        # Whatever a job says can be printed, also where the terminal's encoding lacks it.
        sys.stdout.reconfigure(errors="backslashreplace")


def one_line(error: JobStateError) -> str:
    """Return the message of an error in one line that is safe to print."""
    text = str(error)
    if isinstance(error, ConfigurationError):
        # It lists what is wrong, one line for each.
        text = text.replace(":\n  - ", ": ").replace("\n  - ", "; ").replace("\n", ". ")
    return printable(text)
