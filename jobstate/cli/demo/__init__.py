"""`demo`: the example's tasks on real servers and a real worker, watched until all have landed."""

import click

from jobstate.cli.target import Target


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
@click.option(
    "--web", is_flag=True, help="Start the example web app, too: jobs in a browser, until Ctrl-C."
)
@click.pass_obj
def demo(target: Target, *, keep: bool, web: bool) -> None:
    """Run a dozen real jobs and watch them land.

    Starts a Postgres and a Redis out of Python wheels and a Celery worker, for as long as it
    runs. The files that the jobs make stay in .demo/output, or in JOBSTATE_DEMO_OUTPUT.
    """
    if target.database_url is not None:
        raise click.UsageError("The demo starts a database of its own. Leave --database-url out.")
    # The servers are an extra, and do not exist on Windows: the other commands do without them.
    from jobstate.cli.demo.run import run  # noqa: PLC0415

    run(keep=keep, web=web)
