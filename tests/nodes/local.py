"""Local processes with the face of docker-py's containers, for the nodes of pytest-celery."""

import shlex
import subprocess
from collections.abc import Callable
from signal import SIGKILL, Signals

from jobstate.embedded import Redis
from tests.worker.process import ROOT, WorkerProcess


class LocalContainer:
    """What every process has in common: nothing is published, so readiness waits for no port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = f"local-{name}"
        self.attrs = {
            "Config": {"Hostname": "localhost"},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
        }

    def reload(self) -> None:
        """Nothing is cached."""

    def exec_run(self, command: str) -> tuple[int, bytes]:
        """Run a command beside the process."""
        done = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, check=False)
        return done.returncode, done.stdout


class LocalRedis(LocalContainer):
    """A Redis that keeps its port over a restart."""

    def __init__(self, name: str, server: Redis) -> None:
        super().__init__(name)
        self.server = server

    @property
    def status(self) -> str:
        """Docker's word for whether it runs."""
        return "running" if self.server.running else "exited"

    def logs(self) -> bytes:
        """What it said."""
        return self.server.log.read_bytes()

    def kill(self, signal: str | int | None = None) -> None:
        """End it, at once unless it is asked politely."""
        self.server.stop(immediate=signal != "SIGTERM")

    def restart(self, timeout: int = 10) -> None:
        """Stop it, and start it on the same port."""
        del timeout
        self.server.restart()


class LocalWorker(LocalContainer):
    """A worker in a process group of its own, as a container has its processes for itself.

    Args:
        name: Its name.
        make: Makes the process; called again for each restart.
    """

    def __init__(self, name: str, make: Callable[[int], WorkerProcess]) -> None:
        super().__init__(name)
        self._make = make
        self._starts = 0
        self.process = self._start()

    @property
    def status(self) -> str:
        """Docker's word for whether it runs."""
        return "running" if self.process.alive else "exited"

    def logs(self) -> bytes:
        """What it said since its last start: an older line would pass for readiness."""
        return self.process.log.encode()

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal to the main process; SIGKILL takes all of the group, as Docker does."""
        if number_of(signal) == SIGKILL:
            self.process.kill()
        else:
            self.process.send(number_of(signal))

    def restart(self, timeout: int = 10) -> None:
        """Shut it down if it runs, and start it again."""
        del timeout
        if self.process.alive:
            self.process.shut_down()
        self.process.kill()
        self.process = self._start()

    def _start(self) -> WorkerProcess:
        self._starts += 1
        return self._make(self._starts).__enter__()


def number_of(given: str | int | None) -> Signals:
    """Read a signal as Docker does: by name or number, SIGKILL unless given."""
    if given is None:
        return SIGKILL
    return Signals[given] if isinstance(given, str) else Signals(given)
