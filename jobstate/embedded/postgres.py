"""A local Postgres."""

import shutil
import signal
from pathlib import Path

from jobstate.embedded.account import Account, account_for
from jobstate.embedded.binaries import postgres_binaries
from jobstate.embedded.errors import EmbeddedError
from jobstate.embedded.process import KeptProcess
from jobstate.embedded.server import Server

_READY_LINE = 7  # of postmaster.pid, counted from zero; see pg_ctl's source


class Postgres(Server):
    """A real Postgres with a user and a database named jobstate.

    It keeps Postgres's own settings, so commits reach the disk. A test that does not need that
    passes ``settings={"fsync": "off"}``.
    """

    title = "Postgres"
    name = "postgres"
    # Fast, immediate, and what no process can ignore.
    ending = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    reserved = frozenset({"listen_addresses", "port"})

    _stale = ""

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return f"postgresql+psycopg://jobstate@127.0.0.1:{self.port}/jobstate"

    @property
    def _program(self) -> Path:
        return postgres_binaries() / "postgres"

    def _prepare(self) -> Account:
        account = account_for(self._program, self._data)
        if not self._data.exists():
            self._create(account)
        self._stale = self._pid_file()
        return account

    def _create(self, account: Account) -> None:
        """Make a cluster with the database; it has its final name only once it is complete."""
        new = self._home / f"{self.name}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        account.own(new)
        initdb = [
            str(self._program.with_name("initdb")),
            *("-D", str(new), "-U", "jobstate", "--auth=trust", "--no-sync", "--no-instructions"),
            *("--encoding=UTF8", "--locale=C", *self._collation(account)),
        ]
        single = [str(self._program), "--single", "-F", "-c", "exit_on_error=on", "-D", str(new)]
        for command, text in ((initdb, ""), ([*single, "postgres"], "CREATE DATABASE jobstate")):
            done = account.run(command, self._home, text)
            with self.log.open("a") as log:
                log.write(done.stdout)
            if done.returncode != 0:
                raise EmbeddedError(
                    f"Postgres could not create its data in {self._home}: it needs a disk with "
                    f"room and a user that may write there. It said:\n{done.stdout}"
                )
        new.rename(self._data)

    def _collation(self, account: Account) -> tuple[str, ...]:
        """Let upper() and ILIKE know more than ASCII, where no system locale is needed for it."""
        told = account.run([str(self._program.with_name("initdb")), "--help"], self._home)
        if "--builtin-locale" not in told.stdout:
            return ()
        return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def _command(self, port: int) -> list[str]:
        settings = {
            "unix_socket_directories": "",
            **self._settings,
            "listen_addresses": "127.0.0.1",
            "port": str(port),
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self._program), "-D", str(self._data), *options]

    def _is_ready(self, process: KeptProcess, port: int) -> bool:
        del port  # the file is this server's own
        told = self._pid_file()
        lines = told.splitlines()
        # A file that a crash left behind could name the same process id by chance.
        return (
            told != self._stale
            and len(lines) > _READY_LINE
            and lines[0] == str(process.pid)
            and lines[_READY_LINE].strip() == "ready"
        )

    def _passes(self, port: int, said: str) -> bool:
        # After a kill -9 its former children need a moment to notice that they are orphans.
        return super()._passes(port, said) or "pre-existing shared memory block" in said

    def _pid_file(self) -> str:
        try:
            return (self._data / "postmaster.pid").read_text(errors="replace")
        except FileNotFoundError:
            return ""
