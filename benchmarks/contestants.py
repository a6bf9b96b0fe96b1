"""Who takes part: for each, the environment, how it is filled, and how its worker is started."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import IO

from benchmarks.environments import ROOT, python_of

APPS = Path(__file__).parent / "apps"


Fill = Callable[[int], float]
"""Enqueues so many jobs, and returns the seconds that this took."""


@dataclass(frozen=True)
class Contestant:
    """One way to run a background job."""

    name: str
    module: str
    environment: str
    variables: dict[str, str] = field(default_factory=dict)
    """What its app reads from the environment; ``{broker}`` and ``{database}`` are filled in."""
    concurrency: int = 2
    share: float = 1.0
    """How many of the jobs it is given: a slow one would take all the time."""
    task: str = "nothing"

    @contextmanager
    def producer(self, urls: dict[str, str]) -> Iterator[Fill]:
        """Start what fills the queue, while nobody works on it."""
        program = [str(python_of(self.environment)), str(APPS / f"{self.module}.py")]
        with subprocess.Popen(
            program, env=self._environ(urls), stdin=PIPE, stdout=PIPE, text=True, bufsize=1
        ) as process:
            assert process.stdin
            assert process.stdout
            requests, answers = process.stdin, process.stdout
            _next_of(answers)

            def fill(number: int) -> float:
                requests.write(f"{self.task} {number}\n")
                return float(_next_of(answers))

            yield fill

    def start(self, urls: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start its worker."""
        python = str(python_of(self.environment))
        with log.open("wb") as out:
            return subprocess.Popen(
                [python, *self._arguments()], env=self._environ(urls), stdout=out, stderr=out
            )

    def _arguments(self) -> list[str]:
        number = str(self.concurrency)
        if self.module == "procrastinate_app":
            return ["-m", "procrastinate", "--app=procrastinate_app.app", "worker", "-c", number]
        if self.module == "dramatiq_app":
            return ["-m", "dramatiq", "dramatiq_app", "--processes", number, "--threads", "1"]
        options = ["--without-mingle", "--without-gossip", "--queues=bench", "--loglevel=WARNING"]
        return [
            "-m",
            "celery",
            f"--app={self.module}",
            "worker",
            f"--concurrency={number}",
            *options,
        ]

    def _environ(self, urls: dict[str, str]) -> dict[str, str]:
        given = {name: value.format(**urls) for name, value in self.variables.items()}
        path = os.pathsep.join(
            [str(APPS), str(ROOT)] if self.environment == "jobstate" else [str(APPS)]
        )
        common = {"BENCH_BROKER": urls["broker"], "BENCH_DATABASE": urls["database"]}
        return {**os.environ, **common, **given, "PYTHONPATH": path}


def _next_of(answers: IO[str]) -> str:
    if line := answers.readline():
        return line
    raise ChildProcessError("What fills a queue has ended. Its last words are above.")


REDIS = {"BENCH_BACKEND": "{broker}"}
DATABASE = {"BENCH_BACKEND": "db+{database}"}
LATE = {"BENCH_LATE": "1"}

PLAIN = Contestant("plain Celery", "plain", "celery")
BARE = Contestant("two bare statements", "bare", "celery")
ALONE = Contestant("jobstate's statements alone", "statements", "jobstate")
ALONE_LATE = Contestant("its statements alone, acks_late", "statements", "jobstate", LATE)
JOBSTATE = Contestant("jobstate", "tracked", "jobstate")
JOBSTATE_LATE = Contestant("jobstate, acks_late", "tracked", "jobstate", LATE)

DRAIN = (
    PLAIN,
    JOBSTATE,
    JOBSTATE_LATE,
    ALONE,
    ALONE_LATE,
    BARE,
    Contestant("Celery, results in Redis", "plain", "celery", REDIS),
    Contestant("Celery, results in the database", "plain", "celery", DATABASE, share=0.5),
    Contestant("django-celery-results, as shipped", "django_results", "django", share=0.2),
    Contestant(
        "django-celery-results, connections kept",
        "django_results",
        "django",
        {"BENCH_KEEP": "1"},
        share=0.5,
    ),
    Contestant("an ORM row written by hand", "own_row", "celery", share=0.4),
    Contestant("Procrastinate", "procrastinate_app", "procrastinate", share=0.5),
    Contestant("Dramatiq, Redis", "dramatiq_app", "dramatiq"),
)

QUICK = (PLAIN, JOBSTATE, ALONE, BARE)
"""Who takes part where a minute has to do."""

DRAIN_4 = (
    Contestant("plain Celery", "plain", "celery", concurrency=4),
    Contestant("jobstate", "tracked", "jobstate", concurrency=4),
    Contestant("jobstate, acks_late", "tracked", "jobstate", LATE, concurrency=4),
    Contestant("jobstate's statements alone", "statements", "jobstate", concurrency=4),
    Contestant("its statements alone, acks_late", "statements", "jobstate", LATE, concurrency=4),
    Contestant("two bare statements", "bare", "celery", concurrency=4),
)

PROGRESS = (
    Contestant("jobstate", "tracked", "jobstate", task="reports", share=0.5),
    Contestant("two bare statements", "bare", "celery", share=0.5),
    Contestant("Celery, results in Redis", "plain", "celery", REDIS, task="reports", share=0.1),
    Contestant(
        "Celery, results in the database", "plain", "celery", DATABASE, task="reports", share=0.01
    ),
)
