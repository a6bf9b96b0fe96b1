"""`doctor`: what is wrong with an installation."""

from typing import Any

import click

from jobstate.celery.find import find_app
from jobstate.cli.durations import Duration
from jobstate.cli.group import one_line
from jobstate.cli.output import print_json, printable
from jobstate.cli.target import Target
from jobstate.doctor import Check, Finding, examine
from jobstate.errors import ConfigurationError


@click.command()
@click.option(
    "--grace",
    type=Duration(0),
    metavar="SECONDS",
    help="How long your platform waits between SIGTERM and SIGKILL: tasks are judged by it.",
)
@click.option(
    "--consumer-timeout",
    type=Duration(0),
    metavar="SECONDS",
    help="The consumer_timeout of your RabbitMQ server; it tells no client. Default: 1800.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: healthy, findings.")
@click.pass_context
def doctor(
    ctx: click.Context, *, grace: float | None, consumer_timeout: float | None, as_json: bool
) -> None:
    """Look for what is wrong, and say what helps.

    Database, schema, broker, settings, workers, stuck jobs. It changes nothing. Give --app, so that
    its tasks and its broker are looked at too. Exit status 1: something is wrong.
    """
    target: Target = ctx.obj
    found = _findings(target, grace, consumer_timeout)
    if as_json:
        print_json({"healthy": not found, "findings": [each.to_dict() for each in found]})
    else:
        for each in found:
            _print(each)
        if not found:
            click.echo(f"Nothing is wrong, as far as {len(Check)} checks can tell.")
        if target.app is None:
            click.echo("Without --app, its tasks and its broker were not looked at.", err=True)
    ctx.exit(1 if found else 0)


def _findings(target: Target, grace: float | None, consumer_timeout: float | None) -> list[Finding]:
    try:
        app: Any = find_app(target.app) if isinstance(target.app, str) else target.app
        settings = target.settings()
    except ConfigurationError as error:
        return [Finding(Check.CONFIGURATION, one_line(error))]
    return examine(settings, app, grace, consumer_timeout)


def _print(found: Finding) -> None:
    click.secho(f"{found.check.value}: ", fg="red", bold=True, nl=False)
    click.echo(printable(" ".join(found.what.split())))
    click.echo(f"  Why:     {found.check.why}")
    click.echo(f"  Remedy:  {found.check.remedy}")
    click.echo(f"  See:     {found.check.page}\n")
