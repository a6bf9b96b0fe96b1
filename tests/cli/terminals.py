"""A program on a terminal of its own."""

import os
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.cli.programs import PATIENCE, environment

# Makes the terminal on stdin its own, as a shell does, so that Ctrl-C reaches it.
TAKE_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, sys.argv[1:])"


class Terminal:
    """A program on a terminal of its own."""

    def __init__(
        self, arguments: tuple[str, ...], cwd: Path, columns: int, **variables: str | None
    ) -> None:
        self.screen = ""
        self._fd, inner = os.openpty()
        termios.tcsetwinsize(inner, (40, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, sys.executable, *arguments],
            cwd=cwd,
            env=environment(
                **variables, TERM="xterm-256color", COLUMNS=None, LINES=None, NO_COLOR=None
            ),
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)

    def read_until(self, text: str | None) -> None:
        """Read until the screen has shown a text; None: until the program has ended."""
        deadline = time.monotonic() + PATIENCE
        while text is None or text not in self.screen:
            assert time.monotonic() < deadline, self.screen[-3000:]
            try:
                self.screen += os.read(self._fd, 65536).decode("utf-8", "replace")
            except OSError:  # the program has closed it
                assert text is None, self.screen
                return

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._fd, key)

    def close(self) -> None:
        """End it all."""
        self.process.kill()
        self.process.wait()
        os.close(self._fd)
