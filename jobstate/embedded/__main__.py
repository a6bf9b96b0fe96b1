"""``python -m jobstate.embedded``: a Postgres and a Redis until Ctrl-C."""

import signal
import time
from pathlib import Path

import click

from jobstate.embedded import EmbeddedError, Postgres, Redis

PAUSE = 0.1  # seconds between two looks


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where data are kept from one start to the next. Default: a temporary directory.",
)
def main(directory: Path | None) -> None:
    """Start Postgres and Redis, print their URLs, and stop both on Ctrl-C.

    Exit codes: 0 stopped on request, 1 a server did not start or ended, 2 wrong usage.
    """
    try:
        _run(directory)
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from error


def _run(directory: Path | None) -> None:
    # Noted, not raised: an exception out of a signal could come at any point of a start or a stop
    # and break it off half done.
    requests: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: requests.append(number))
    with Postgres(directory) as postgres, Redis(directory) as redis:
        click.echo(f"JOBSTATE_DATABASE_URL={postgres.url}")
        click.echo(f"JOBSTATE_BROKER_URL={redis.url}")
        click.echo("Both run until Ctrl-C.", err=True)
        while not requests:
            _check(postgres)
            _check(redis)
            time.sleep(PAUSE)


def _check(server: Postgres | Redis) -> None:
    if not server.running:
        raise EmbeddedError(
            f"{server.title} ended: nobody asked it to. Its log ends with:\n{server.last_words}"
        )


if __name__ == "__main__":
    main()
