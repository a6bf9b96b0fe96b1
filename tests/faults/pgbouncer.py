"""A PgBouncer in transaction mode, as many databases stand behind one."""

import os
import pwd
import socket
import subprocess
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from jobstate.embedded.ports import free_port
from tests.worker.process import eventually

PROGRAM = Path("/usr/sbin/pgbouncer")  # where Debian has it, which is not on every PATH

CONFIG = """
[databases]
* = host={host} port={server_port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


class PgBouncer:
    """Serves every database of a server on a loopback port; ends with the ``with`` block.

    Args:
        folder: An empty folder for its configuration.
        server_url: A URL of the server behind it.
    """

    def __init__(self, folder: Path, server_url: str) -> None:
        self._folder = folder
        self._server = urlsplit(server_url)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.crash()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        config = self._folder / "pgbouncer.ini"
        config.write_text(
            CONFIG.format(
                host=self._server.hostname,
                server_port=self._server.port,
                user=self._server.username,
                port=self.port,
            )
        )
        with (self._folder / "pgbouncer.log").open("ab") as log, config.open("rb") as opened:
            # It refuses to run as root, and nobody else reaches the folder: it reads what is open.
            self._process = subprocess.Popen(
                [str(PROGRAM), "/dev/stdin"],
                stdin=opened,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None,
            )
        eventually(self._listens, "a PgBouncer that listens")

    def crash(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def url(self, database_url: str) -> str:
        """Return the URL of a database by way of this pooler."""
        parts = urlsplit(database_url)
        return parts._replace(netloc=f"{parts.username}@127.0.0.1:{self.port}").geturl()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "pgbouncer.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
