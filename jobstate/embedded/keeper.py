"""A process that runs one server and ends it when the process that asked for it is gone.

It is run as a file and needs the standard library only. Its standard input is a pipe whose other
end the starter alone holds, so the kernel closes it however the starter ends. That was chosen
over PR_SET_PDEATHSIG in the starter, which fires when the starting *thread* ends and which macOS
does not have. As the server's parent it can also never signal a process that merely inherited
the server's number.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

PATIENCE = 10.0  # seconds that a signal is given before the next, harsher one is sent
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STDIN = 0


def main() -> int:
    """Run the server that the first argument describes until it ends.

    Prints the server's process id. Any byte on standard input asks the server to end, ``i`` at
    once; end of file does the same and removes the temporary directory, if there is one.
    """
    order = json.loads(sys.argv[1])
    wake, server = _start(order)
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    asked = _wait(server, wake)
    if server.returncode is None:
        _end(server, order["ending"][1 if asked == b"i" else 0 :])
    if asked == b"" and order["temporary"]:
        shutil.rmtree(order["temporary"], ignore_errors=True)
    return 0


def _start(order: dict[str, Any]) -> tuple[int, "subprocess.Popen[bytes]"]:
    wake, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)
    # Handlers that do nothing: this process ends with its server, never before. A handler, unlike
    # SIG_IGN, is not passed on to the server.
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    libc = ctypes.CDLL(None)

    def end_with_keeper() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, order["ending"][0])

    # S603: the starter names the program. PLW1509: this process has one thread, so code between
    # fork and exec is safe; it covers a kill -9 of this process, where the system can.
    server = subprocess.Popen(  # noqa: S603
        order["command"],
        cwd=order["cwd"],
        user=order["user"],
        group=order["group"],
        extra_groups=None if order["user"] is None else [],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=end_with_keeper,  # noqa: PLW1509
    )
    return wake, server


def _wait(server: "subprocess.Popen[bytes]", wake: int) -> bytes | None:
    """Return what came on standard input, or None if the server ended first."""
    while server.poll() is None:
        ready, _, _ = select.select([_STDIN, wake], [], [])
        if _STDIN in ready:
            return os.read(_STDIN, 1)
        os.read(wake, 1)
    return None


def _end(server: "subprocess.Popen[bytes]", signals: list[int]) -> None:
    for number in signals:
        server.send_signal(number)
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    sys.exit(main())
