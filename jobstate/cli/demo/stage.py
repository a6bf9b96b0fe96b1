"""Everything that the demo's jobs need, for as long as it runs."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import click

from jobstate.celery import JobState
from jobstate.cli.demo import example, plan
from jobstate.cli.demo.ending import Requests
from jobstate.cli.demo.plan import DemoFailed
from jobstate.cli.demo.program import DemoProgram
from jobstate.cli.demo.web import Web
from jobstate.cli.demo.worker import PROCESSES, start_worker
from jobstate.embedded import Postgres, Redis
from jobstate.settings import Settings
from jobstate.store.migrations import apply


@dataclass(frozen=True)
class Clock:
    """How long the demo runs already."""

    started_at: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    def tell(self, text: str) -> None:
        """Print what happens now."""
        click.echo(f"{self.elapsed:5.1f} s  {text}")


@dataclass(frozen=True)
class Stage:
    """Servers and a worker that run, input that is made, and where the files are."""

    clock: Clock
    postgres: Postgres
    redis: Redis
    worker: DemoProgram
    web: Web | None
    jobs: JobState
    outputs: Path

    def check(self) -> None:
        """Make sure that all of it still runs.

        Raises:
            DemoFailed: Something ended.
        """
        for program in filter(None, (self.worker, self.web)):
            if not program.running:
                raise DemoFailed(
                    f"{program.title} ended: nobody asked it to. "
                    f"Its log {program.log} ends with:\n{program.last_words}"
                )
        for server in (self.postgres, self.redis):
            if not server.running:
                raise DemoFailed(
                    f"{server.title} ended: nobody asked it to. "
                    f"Its log ends with:\n{server.last_words}"
                )


@contextmanager
def stage(requests: Requests, *, with_web: bool) -> Iterator[Stage]:
    """Set the stage, and take all that runs down again at the end.

    Raises:
        DemoFailed: The current directory cannot be used.
        EmbeddedError: A server is not installed, or did not start.
        KeyboardInterrupt: It was asked to end meanwhile.
    """
    clock = Clock()
    home = Path.cwd() / ".demo"
    log, web_log = home / "worker.log", home / "web.log"
    outputs = Path(os.environ.get("JOBSTATE_DEMO_OUTPUT") or home / "output").absolute()
    with _prepare(home, outputs, (log, web_log)) as lock, ExitStack() as stack:
        try:
            clock.tell("Starting Postgres and Redis, out of Python wheels")
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="jobstate-demo-")))
            # Nothing of it is kept, so nothing has to reach the disk, at the end neither.
            postgres, redis = Postgres(settings={"fsync": "off"}), Redis()
            for server in (postgres, redis):
                stack.callback(server.stop, immediate=True)
                server.start()
            example.point_at(postgres.url, redis.url, scratch, outputs)
            apply(Settings.for_database(postgres.url), user_id_type="text")

            requests.heed()
            clock.tell(f"Starting a Celery worker with {PROCESSES} processes")
            worker = start_worker(log, lock.fileno(), scratch)
            stack.callback(worker.stop)

            clock.tell(f"Making input: {plan.INPUT}")
            for _ in example.make_input(postgres.url, scratch):
                requests.heed()
            jobs = example.load_jobs()
            stack.callback(jobs.service.close)
            web = None
            if with_web:
                clock.tell("Starting the web app")
                web = Web(web_log, lock.fileno(), scratch)
                stack.callback(web.stop)
                web.wait(requests.heed)
            yield Stage(clock, postgres, redis, worker, web, jobs, outputs)
        finally:
            # Nobody may be there to read it, and the end must not fail for that.
            with suppress(OSError):
                clock.tell("Stopping the worker and the servers")


def _prepare(home: Path, outputs: Path, logs: Sequence[Path]) -> BinaryIO:
    """Make the folders, and return the lock of `home`: only one demo runs there."""
    try:
        for folder in (home, outputs):
            folder.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for log in logs:
                log.write_bytes(b"")
        except BaseException:
            lock.close()
            raise
    except BlockingIOError:
        raise DemoFailed(
            f"Another demo runs in {home.parent}: two would share their files. "
            "End it first, or run this one in another directory."
        ) from None
    except OSError as error:
        raise DemoFailed(
            f"The demo cannot keep its files here: {error}. "
            "Run it in a directory that you may write to."
        ) from error
    return lock
