"""The demo's web app: the example in `web/`, on a free port of this machine."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from jobstate.cli.demo.plan import DemoFailed
from jobstate.cli.demo.program import DemoProgram
from jobstate.embedded.ports import free_port, is_taken

APP = "web.app:app"
PATIENCE = 30.0
"""How long it may take to start, in seconds."""


class Web(DemoProgram):
    """A uvicorn that serves the example's web app. It starts at once."""

    def __init__(self, log: Path, lock: int, scratch: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self._port = port
        command = [
            *(sys.executable, "-m", "uvicorn", APP, "--port", str(port)),
            # The streams of open pages would hold the end up.
            *("--timeout-graceful-shutdown", "1"),
        ]
        super().__init__("The web app", command, log, lock, scratch)

    def wait(self, heed: Callable[[], None]) -> None:
        """Wait until it answers.

        Raises:
            DemoFailed: It ended, or does not answer in time.
        """
        ends_at = time.monotonic() + PATIENCE
        while not is_taken(self._port):
            heed()
            if not self.running or time.monotonic() > ends_at:
                raise DemoFailed(
                    f"The web app did not start. Its log {self.log} ends with:\n{self.last_words}"
                )
            time.sleep(0.05)
