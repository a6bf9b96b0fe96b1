"""The demo's Celery worker: a process of its own that never outlives the demo."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from jobstate.cli.demo.example import APP
from jobstate.embedded.account import Account
from jobstate.embedded.process import KeptProcess

PROCESSES = 2
PATIENCE = 3.0
"""How long running tasks have to end when the worker is stopped, in seconds."""


class Worker:
    """A prefork worker of the example's app. It starts at once.

    Args:
        log: What it says is added to this file.
        lock: A file descriptor that is held open as long as it runs.
        scratch: A directory that is removed with it, should the demo be killed.
    """

    def __init__(self, log: Path, lock: int, scratch: Path) -> None:
        self._log = log
        self._process = KeptProcess(
            # No other worker is there to greet, and greeting takes a second.
            [
                *(sys.executable, "-m", "celery", "--app", APP, "worker"),
                *("--concurrency", str(PROCESSES), "--loglevel", "INFO"),
                *("--without-mingle", "--without-gossip"),
            ],
            account=Account(),
            cwd=Path.cwd(),
            log=log,
            ending=(signal.SIGTERM, signal.SIGKILL),
            temporary=scratch,
            lock=lock,
        )
        # The keeper leads it, and the pool is in it too.
        self._group = _group_of(self._process.pid)

    @property
    def running(self) -> bool:
        """Whether the worker's main process runs."""
        return self._process.alive

    @property
    def last_words(self) -> str:
        """The last lines of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> None:
        """End the worker, and with it every process of its pool, whatever they are doing."""
        if self._process.alive:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
        ends_at = time.monotonic() + PATIENCE
        while self._process.alive and time.monotonic() < ends_at:
            time.sleep(0.02)
        # Once its leader is collected, the group's number may be somebody else's.
        if self._group is not None and self._process.alive:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
        self._process.end()


def _group_of(pid: int) -> int | None:
    """Return the group of a process, or None if it could not be run or has ended already."""
    # To the system, process 0 would be this one.
    with suppress(ProcessLookupError):
        return os.getpgid(pid) if pid else None
    return None
