"""Ports for local servers."""

import errno
import secrets
import socket

from jobstate.embedded.errors import EmbeddedError

# Below the ports that Linux and macOS hand out to clients (and to whoever binds to port 0), so
# that no connection takes a server's port while a restart leaves it free.
PORTS = range(20_000, 32_768)


def free_port() -> int:
    """Return a loopback port that nobody listens on now; somebody else may still take it.

    Raises:
        EmbeddedError: There is none.
    """
    for _ in PORTS:
        port = secrets.choice(PORTS)
        if not is_taken(port):
            return port
    raise EmbeddedError(
        f"There is no free port from {PORTS.start} to {PORTS.stop - 1}: a local server needs one. "
        "Choose one with port=."
    )


def is_taken(port: int) -> bool:
    """Return whether somebody uses this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
