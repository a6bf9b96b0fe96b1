"""A RabbitMQ of the tests' own, where one is installed."""

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Any

from jobstate.embedded.account import Account
from jobstate.embedded.ports import free_port
from jobstate.embedded.process import KeptProcess
from jobstate.embedded.server import Server

# Debian's wrapper on the PATH insists on the user rabbitmq; the script behind it does not.
_PLACES = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/sbin"), Path("/opt/homebrew/sbin"))


def rabbitmq_server() -> Path | None:
    """Find the program that starts a node."""
    found = (place / "rabbitmq-server" for place in _PLACES)
    return next((program for program in found if program.exists()), None)


def is_available() -> bool:
    """Tell whether tests can use RabbitMQ here."""
    given = environ.get("JOBSTATE_TEST_AMQP_URL")
    return bool(given or (rabbitmq_server() and shutil.which("epmd")))


class Epmd(Server):
    """The port mapper that Erlang needs, as a child: left to itself, it would stay for ever."""

    title = "epmd"
    name = "epmd"
    ending = (signal.SIGKILL, signal.SIGKILL)
    reserved = frozenset()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"epmd://127.0.0.1:{self.port}"

    def _prepare(self) -> Account:
        self._data.mkdir(exist_ok=True)
        return Account()

    def _command(self, port: int) -> list[str]:
        return [shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(port)]

    def _is_ready(self, process: KeptProcess, port: int) -> bool:
        return process.alive and _listens(port)


class RabbitMQ(Server):
    """One RabbitMQ node on loopback, without plugins; its queues outlive a restart."""

    title = "RabbitMQ"
    name = "rabbitmq"
    ending = (signal.SIGTERM, signal.SIGKILL)
    reserved = frozenset({"listeners.tcp.1"})

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._epmd = Epmd()

    @property
    def url(self) -> str:
        """The URL of the default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the node, and what it needs."""
        self._epmd.start()
        super().start()

    def stop(self, *, immediate: bool = False) -> None:
        """Stop both."""
        super().stop(immediate=immediate)
        self._epmd.stop(immediate=True)

    def _prepare(self) -> Account:
        self._data.mkdir(mode=0o700, exist_ok=True)
        (self._data / "enabled_plugins").write_text("[].")
        return Account()

    def _command(self, port: int) -> list[str]:
        settings = {"listeners.tcp.1": f"127.0.0.1:{port}", "log.console": "true", **self._settings}
        lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self._data / "rabbitmq.conf").write_text(lines)
        variables = {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": self._epmd.port,
            # The cookie is in there.
            "HOME": self._data,
            "RABBITMQ_CONFIG_FILE": self._data / "rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._data / "enabled_plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": self._data,
            # The data belong to the name of the node.
            "RABBITMQ_NODENAME": f"{self._home.name.replace('-', '_')}@localhost",
            "RABBITMQ_MNESIA_BASE": self._data,
            "RABBITMQ_PID_FILE": self._data / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            # The shell becomes the node, instead of staying as its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        assigned = [f"{name}={value}" for name, value in variables.items()]
        return ["/usr/bin/env", *assigned, str(rabbitmq_server())]

    def _is_ready(self, process: KeptProcess, port: int) -> bool:
        # It listens when everything else is done.
        return process.alive and _listens(port)


@contextmanager
def rabbitmq_url() -> Iterator[str]:
    """Yield the URL of the node that is given, or of one that ends with the block."""
    if given := environ.get("JOBSTATE_TEST_AMQP_URL"):
        yield given
        return
    with RabbitMQ() as server:
        yield server.url


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.3).close()
    except OSError:
        return False
    return True
