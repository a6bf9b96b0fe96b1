"""A local Redis."""

import signal
import socket

from jobstate.embedded.account import Account
from jobstate.embedded.binaries import redis_server
from jobstate.embedded.process import KeptProcess
from jobstate.embedded.server import Server

EMPTY = '""'


class Redis(Server):
    """A real Redis, or its drop-in replacement Valkey.

    It keeps nothing over a restart unless settings say so, for instance ``appendonly`` ``yes``
    and ``appendfsync`` ``always``, or ``save`` ``60 1``.
    """

    title = "Redis"
    name = "redis"
    ending = (signal.SIGTERM, signal.SIGKILL)
    reserved = frozenset({"bind", "daemonize", "dir", "port", "requirepass", "tls-port"})

    @property
    def url(self) -> str:
        """The URL of database 0, as Celery and redis-py take it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _prepare(self) -> Account:
        self._data.mkdir(mode=0o700, exist_ok=True)
        return Account()

    def _command(self, port: int) -> list[str]:
        settings = {
            "save": "",
            "appendonly": "no",
            "protected-mode": "yes",
            **self._settings,
            "bind": "127.0.0.1",
            "port": str(port),
        }
        # A file, because arguments cannot carry values of several words in every version. The
        # data go to the working directory.
        config = "".join(f"{key} {value or EMPTY}\n" for key, value in settings.items())
        (self._data / "redis.conf").write_text(config)
        return [str(redis_server()), "redis.conf"]

    def _is_ready(self, process: KeptProcess, port: int) -> bool:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=0.3) as link,
                link.makefile("rwb") as stream,
            ):
                stream.write(b"INFO\r\n")
                stream.flush()
                size = stream.readline().removeprefix(b"$").strip()
                told = stream.read(int(size)).split(b"\r\n") if size.isdigit() else []
        except OSError:
            return False
        # Another server on the port would have another process id.
        return {b"process_id:%d" % process.pid, b"loading:0"} <= set(told)
