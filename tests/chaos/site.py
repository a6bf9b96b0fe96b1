"""The servers and the workers of a chaos run, and what can be done to them."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

import psutil

from jobstate import JobService, JobStateError, Settings
from jobstate.embedded import Postgres, Redis
from jobstate.store.migrations import apply
from tests.proxy import Link, Proxy

WORKERS = 2


class Worker:
    """A worker in a process group of its own, with a link of its own to the database."""

    def __init__(self, name: str, link: Proxy, directory: Path) -> None:
        self.name = name
        self.link = link
        self._log = directory / f"{name}.log"
        self.process = self._start()

    def revive(self) -> None:
        """Do what a supervisor does: start it again when it has ended."""
        if self.process.poll() is not None:
            self.process = self._start()

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the main process, or to all."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def children(self) -> list[int]:
        """Return the processes of the pool."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.process.pid).children()]
        return []

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "celery", "--app", "tests.chaos.tasks", "worker"),
            *("--concurrency", "4", "--loglevel", "INFO"),
            *("--hostname", f"{self.name}-{uuid4().hex[:6]}@%h"),
        ]
        environment = os.environ | {"JOBSTATE_DATABASE_URL": self.link.url}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )


class Site:
    """Starts everything, and ends it with the ``with`` block. The schedule is the chance's."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.chance = chance
        self.directory = directory
        self.postgres = Postgres(directory / "postgres", settings={"fsync": "off"})
        self.redis = Redis()
        self.workers: list[Worker] = []
        self._pause = threading.Event()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        """Start the servers and the workers."""
        for server in (self.postgres, self.redis):
            self._opened.enter_context(server)
        os.environ |= {
            "JOBSTATE_DATABASE_URL": self.postgres.url,
            "JOBSTATE_BROKER_URL": self.redis.url,
            "CHAOS_LOG": str(self.directory / "runs.log"),
        }
        apply(Settings.for_database(self.postgres.url))
        self.service = self._opened.enter_context(closing(JobService(self.postgres.url)))
        for number in range(WORKERS):
            link = self._opened.enter_context(Proxy(self.postgres.url))
            self.workers.append(Worker(f"worker{number}", link, self.directory))
        return self

    def __exit__(self, *error: object) -> None:
        """End everything."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGKILL, group=True)
            worker.process.wait()
        self._opened.close()

    def revive(self) -> None:
        """Start again what has ended."""
        for worker in self.workers:
            worker.revive()

    def faults(self, live: list[UUID]) -> list[Callable[[], None]]:
        """List what can happen, likelier things more often; `live` are jobs to be cancelled."""

        def cancel_a_job() -> None:
            if live:
                job = self.service.get_job_internal(self.chance.choice(live))
                with suppress(JobStateError):
                    self.service.cancel(job.id, job.user_id)

        return [
            *(self.kill_child,) * 4,
            *(self.kill_main, self.kill_group, self.terminate_group) * 2,
            *(self.shut_down_warm, self.shut_down_cold),
            *(self.freeze_worker, self.cut_network, self.black_hole) * 2,
            *(self.stop_postgres,) * 2,
            self.empty_redis,
            cancel_a_job,
        ]

    def kill_child(self) -> None:
        """SIGKILL one process of a pool."""
        if children := self._worker().children():
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(children), signal.SIGKILL)

    def kill_main(self) -> None:
        """SIGKILL a worker's main process."""
        self._worker().signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL a worker with all its processes."""
        self._worker().signal(signal.SIGKILL, group=True)

    def terminate_group(self) -> None:
        """SIGTERM to all processes of a worker, as a container runtime does."""
        self._worker().signal(signal.SIGTERM, group=True)

    def shut_down_warm(self) -> None:
        """SIGTERM to the main process."""
        self._worker().signal(signal.SIGTERM)

    def shut_down_cold(self) -> None:
        """SIGQUIT to the main process."""
        self._worker().signal(signal.SIGQUIT)

    def freeze_worker(self) -> None:
        """SIGSTOP a worker, often past its lease, and SIGCONT."""
        worker = self._worker()
        worker.signal(signal.SIGSTOP, group=True)
        self._wait(1, 9)
        worker.signal(signal.SIGCONT, group=True)

    def cut_network(self) -> None:
        """Reset a worker's connections to Postgres, and refuse new ones for a while."""
        self._fail(Link.CUT)

    def black_hole(self) -> None:
        """Let nothing through between a worker and Postgres for a while, without an error."""
        self._fail(Link.BLACK_HOLE)

    def stop_postgres(self) -> None:
        """Stop Postgres, fast or at once, for some seconds."""
        self.postgres.stop(immediate=self.chance.random() < 1 / 2)
        self._wait(0, 4)
        self.postgres.start()

    def empty_redis(self) -> None:
        """Kill Redis, which keeps nothing, and start it again."""
        os.kill(self.redis.pid, signal.SIGKILL)
        self.redis.restart()

    def _worker(self) -> Worker:
        return self.chance.choice(self.workers)

    def _fail(self, how: Link) -> None:
        link = self._worker().link
        link.go_down(how)
        self._wait(1, 9)
        link.heal()

    def _wait(self, least: float, most: float) -> None:
        self._pause.wait(self.chance.uniform(least, most))
