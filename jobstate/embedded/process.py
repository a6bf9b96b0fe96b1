"""The starter's side of a keeper: a server process that ends with this one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import IO, Any

from jobstate.embedded.account import Account, server_environment
from jobstate.embedded.errors import EmbeddedError
from jobstate.embedded.keeper import PATIENCE

_KEEPER = Path(__file__).with_name("keeper.py")


class KeptProcess:
    """A running server and the keeper that ends it with this process.

    Args:
        command: The program and its arguments.
        account: Who runs it.
        cwd: Its working directory.
        log: A file; what the server and the keeper say is added to it.
        ending: Signals that end the server, each harsher than the one before.
        temporary: A directory that the keeper removes if this process vanishes.
        lock: A file descriptor that the keeper holds open as long as the server runs.
    """

    def __init__(
        self,
        command: list[str],
        *,
        account: Account,
        cwd: Path,
        log: Path,
        ending: tuple[signal.Signals, ...],
        temporary: Path | None,
        lock: int,
    ) -> None:
        self._starter = os.getpid()
        self._patience = PATIENCE * (len(ending) + 1)
        order = {
            "command": [*account.prefix, *command],
            "user": account.user,
            "group": account.group,
            "cwd": str(cwd),
            "ending": ending,
            "temporary": str(temporary) if temporary else None,
        }
        with log.open("ab") as out:
            self._keeper, self._lifeline, announced = _start_keeper(order, out, lock)
        with announced:
            # 0: it could not be run, and the log says why.
            self.pid = int(announced.readline() or 0)

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the starter; the server is the starter's alone."""
        return os.getpid() != self._starter

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return not self.inherited and self._keeper.poll() is None

    def end(self, *, immediate: bool = False) -> None:
        """End the server and wait until it and its keeper are gone; repeatable.

        Raises:
            EmbeddedError: Not even SIGKILL ended it in time.
        """
        if self.inherited or self._lifeline.closed:
            return
        # A broken pipe: the server ended on its own, and its keeper with it.
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.write(b"i" if immediate else b"f")
        try:
            self._keeper.wait(self._patience)
        except subprocess.TimeoutExpired:
            raise EmbeddedError(
                f"Process {self.pid} did not end: SIGKILL ends any process that the kernel can "
                "end. Look for a full or hanging disk."
            ) from None
        self._lifeline.close()


def _start_keeper(
    order: dict[str, Any], log: IO[bytes], lock: int
) -> tuple["subprocess.Popen[bytes]", IO[bytes], IO[bytes]]:
    """Return the keeper, the pipe that it lives by, and the pipe that it announces the pid on."""
    stdin, lifelines_end = os.pipe()
    # Before anybody lives by it: another thread may fork at any moment.
    lifeline = os.fdopen(lifelines_end, "wb", buffering=0)
    _lifelines.add(lifeline)
    announcement, stdout = os.pipe()
    announced = os.fdopen(announcement, "rb")
    try:
        # S603: this interpreter runs a file of this package. Its own session keeps a Ctrl-C in
        # the terminal from the server: the starter decides what a Ctrl-C means.
        keeper = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(_KEEPER), json.dumps(order)],
            stdin=stdin,
            stdout=stdout,
            stderr=log,
            cwd="/",
            env=server_environment(),
            pass_fds=[lock],
            start_new_session=True,
        )
    except BaseException:
        lifeline.close()
        announced.close()
        raise
    finally:
        os.close(stdin)
        os.close(stdout)
    return keeper, lifeline, announced


_lifelines: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


def _drop_lifelines() -> None:
    # A fork has copies of the pipes; as long as it held them, the servers would outlive the
    # starter.
    for lifeline in list(_lifelines):
        lifeline.close()


os.register_at_fork(after_in_child=_drop_lifelines)
