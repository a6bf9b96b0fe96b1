"""Programs that the demo starts, and that never outlive it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from jobstate.embedded.account import Account
from jobstate.embedded.process import KeptProcess

PATIENCE = 3.0
"""How long a program has to end what it does when it is stopped, in seconds."""


class DemoProgram:
    """A program that starts at once.

    Args:
        title: What it is, in messages.
        command: The program and its arguments.
        log: What it says is added to this file.
        lock: A file descriptor that is held open as long as it runs.
        scratch: A directory that is removed with it, should the demo be killed.
    """

    def __init__(self, title: str, command: list[str], log: Path, lock: int, scratch: Path) -> None:
        self.title = title
        self.log = log
        self._process = KeptProcess(
            command,
            account=Account(),
            cwd=Path.cwd(),
            log=log,
            ending=(signal.SIGTERM, signal.SIGKILL),
            temporary=scratch,
            lock=lock,
        )
        # The keeper leads it, and what the program starts is in it too.
        self._group = _group_of(self._process.pid)

    @property
    def running(self) -> bool:
        """Whether its main process runs."""
        return self._process.alive

    @property
    def last_words(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> None:
        """End it, and with it every process that it started, whatever they are doing."""
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
