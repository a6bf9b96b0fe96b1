"""``python -m jobstate.embedded``: a Postgres and a Redis until Ctrl-C."""

import contextlib
import signal
import time
from pathlib import Path
from typing import NoReturn

import click

from jobstate.embedded import EmbeddedError, Postgres, Redis
from jobstate.embedded.server import Server


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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _run(directory)
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        pass  # the normal end


def _run(directory: Path | None) -> None:
    postgres, redis = Postgres(directory), Redis(directory)
    with contextlib.ExitStack() as stack:
        stack.enter_context(postgres)
        stack.enter_context(redis)
        stack.callback(_ignore_interrupts)
        click.echo(f"JOBSTATE_DATABASE_URL={postgres.url}")
        click.echo(f"JOBSTATE_BROKER_URL={redis.url}")
        click.echo("Both run until Ctrl-C.", err=True)
        _watch(postgres, redis)


def _watch(*servers: Server) -> NoReturn:
    while True:
        for server in servers:
            if not server.running:
                raise EmbeddedError(
                    f"{server.title} ended: nobody asked it to. Its log ends with:\n"
                    f"{server.last_words}"
                )
        time.sleep(0.2)


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _ignore_interrupts() -> None:
    # A second Ctrl-C must not break the stop off.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
