"""Where workers are forked from: a process that has imported Celery and jobstate already.

A worker that is started by itself costs a processor two seconds, nearly all of them for imports.
What is forked here calls Celery's own entry point, and is a process like any other from then on.
"""

import ctypes
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tests.forks import let_children_run

ROOT = Path(__file__).parents[2]

IMPORTED = (
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.concurrency.thread",
    "celery.worker.components",
    "celery.worker.consumer",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg",
    "tests.worker.apps",
    "tests.worker.gates",
)
"""What every worker imports. None of it starts a thread."""


class Nursery:
    """Starts workers, and hears how they have ended; once nobody holds the link, it ends."""

    def __init__(self) -> None:
        self._link, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.worker.nursery", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._statuses: dict[int, int] = {}

    def start(self, command: list[str], environment: dict[str, str], log: Path) -> "Nursling":
        """Start a worker in a session of its own, with Celery's command line."""
        self._link.send((command, environment, str(log)))
        while (pid := self._hear()) is None:
            pass
        return Nursling(self, pid)

    def status(self, pid: int, timeout: float) -> int | None:
        """Return how a worker has ended, like `subprocess` does; None: it runs still."""
        deadline = time.monotonic() + timeout
        while pid not in self._statuses and self._link.poll(max(0, deadline - time.monotonic())):
            self._hear()
        return self._statuses.get(pid)

    def close(self) -> None:
        """End it."""
        self._link.close()
        self._process.wait()

    def _hear(self) -> int | None:
        """Hear of a birth, and return the process; or of a death, and remember it."""
        pid, status = self._link.recv()
        if status is None:
            return int(pid)
        self._statuses[pid] = status
        return None


class Nursling:
    """One worker, as `subprocess.Popen` would show it."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs."""
        return self._nursery.status(self.pid, 0)

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        if (status := self._nursery.status(self.pid, timeout)) is None:
            raise subprocess.TimeoutExpired("celery", timeout)
        return status


@cache
def nursery() -> Nursery:
    """Return the one of this process."""
    return Nursery()


def end_nursery() -> None:
    """End the one of this process, if it has one."""
    if nursery.cache_info().currsize:
        nursery().close()
        nursery.cache_clear()


def end_with_parent() -> None:
    """Have the kernel end this process with the thread that has started it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def tend(link: Connection) -> bool:
    """Fork whenever it is asked for; return True in a worker, and False once nobody asks more."""
    died, dies = os.pipe()
    os.set_blocking(dies, False)
    signal.set_wakeup_fd(dies)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = wait([link, died])
        if died in ready:
            os.read(died, 4096)
            for pid, status in ended_children():
                link.send((pid, status))
        if link in ready:
            try:
                asked = link.recv()
            except EOFError:
                return False
            if (pid := fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(died)
                os.close(dies)
                link.close()
                become(*asked)
                return True
            link.send((pid, None))


def ended_children() -> list[tuple[int, int]]:
    """Collect the children that have ended."""
    found = []
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            found.append((ended[0], os.waitstatus_to_exitcode(ended[1])))
    return found


def fork() -> int:
    """Fork; return in the parent once the child has a session of its own, and may be killed."""
    ready, get_ready = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
    os.close(get_ready)
    if pid:
        os.read(ready, 1)
    os.close(ready)
    return pid


def become(command: list[str], environment: dict[str, str], log: str) -> None:
    """Be a worker from here on."""
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["celery", *command]


def main() -> Any:
    """Tend the nursery; in a worker, run Celery."""
    for name in IMPORTED:
        importlib.import_module(name)
    let_children_run()
    gc.freeze()
    if tend(Connection(int(sys.argv[1]))):
        return importlib.import_module("celery.__main__").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
