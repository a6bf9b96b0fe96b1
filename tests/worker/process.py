"""A real Celery worker as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.worker.nursery import ROOT, Nursling, nursery

PATIENCE = 90
"""How long a worker may take to start, to stop, or to do anything, in seconds."""

CLOCK_OFF_BY = "TEST_CLOCK_OFF_BY"
"""The variable by which a worker hears that its clock is wrong, and by how many seconds."""


def eventually(
    condition: Callable[[], object], what: str = "it", instead: Callable[[], object] = str
) -> Any:
    """Wait until a condition holds, and return what it returned.

    Args:
        condition: What is waited for.
        what: The same in words.
        instead: Tells what is there when it has not come true.
    """
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} never came true {instead()}"
        time.sleep(0.02)
    return answer


class WorkerProcess:
    """A worker in a process group of its own, which ends with the ``with`` block.

    Args:
        log: The file for what it says.
        pool: The pool, by Celery's name for it.
        conf: The arguments of `make_app`.
        arguments: More of the command line.
        app: The module of the app, by the arguments of `TEST_WORKER`.
    """

    def __init__(
        self,
        log: Path,
        pool: str,
        conf: dict[str, Any],
        arguments: tuple[str, ...] = (),
        app: str = "tests.worker.main",
    ) -> None:
        self._path = log
        self._command = ["-A", app, "worker"]
        self._command += ["--loglevel=INFO", "--without-gossip", "--without-mingle"]
        self._command += ["-P", pool, "-c", "2", "-n", f"{pool}-{id(self):x}@%h", *arguments]
        self._environment = {**os.environ, "TEST_WORKER": json.dumps(conf)}
        # Gevent patches what is not imported yet.
        self._forks = pool != "gevent"
        self._process: subprocess.Popen[bytes] | Nursling | None = None

    def __enter__(self) -> Self:
        """Start it; it is ready a moment later."""
        self._path.touch()
        if self._forks and sys.platform == "linux":
            self._process = nursery().start(self._command, self._environment, self._path)
            return self
        with self._path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *self._command],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it and everything it has started."""
        try:
            if exc_type is None and self.alive:
                self.shut_down()
        finally:
            self.kill()

    @property
    def pid(self) -> int:
        """The main process, and the group of all."""
        assert self._process is not None, "the worker was not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._path.read_text(errors="replace")

    def ready(self) -> Self:
        """Wait until it takes messages."""

        def said() -> bool:
            assert self.alive, f"the worker has ended:\n{self.log}"
            return " ready." in self.log

        eventually(said, "a ready worker")
        return self

    def says(self, *words: str) -> str:
        """Wait for a line of the log with all these words, and return it."""

        def found() -> str | None:
            lines = self.log.splitlines()
            return next((line for line in lines if all(word in line for word in words)), None)

        line: str = eventually(found, f"a log line with {words}")
        return line

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the main process."""
        os.kill(self.pid, number)

    def shut_down(self) -> int:
        """Ask it to finish what it runs and to end, and wait for that; return its exit status."""
        self.send(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait until the main process has ended; return its exit status."""
        assert self._process is not None, "the worker was not started"
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker does not end:\n{self.log}") from None

    def kill(self) -> None:
        """Kill its whole process group, as a power cut would."""
        # The group may outlive its leader; it may also be gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(PATIENCE)
