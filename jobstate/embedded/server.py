"""What the local servers have in common: a directory, a port, a start and an end."""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypeVar

from jobstate.embedded.account import Account
from jobstate.embedded.errors import EmbeddedError
from jobstate.embedded.ports import free_port, is_taken
from jobstate.embedded.process import KeptProcess

START_PATIENCE = 60.0  # seconds until a server must be ready; a recovery after a crash takes some
LOCK_PATIENCE = 5.0  # seconds that a server whose starter has just been killed has to end
PAUSE = 0.01  # seconds between two looks

_T = TypeVar("_T")


class Server(ABC):
    """A real server on a loopback port, which ends with the process that started it.

    It starts on entering a ``with`` block and stops on leaving it. It also ends when this process
    does, however that happens, and when this object is dropped. A fork of this process may use
    the URL; the server is not its to stop. One thread at a time may call the methods.

    Args:
        directory: Where its data and its log are kept from one start to the next. Without it, a
            temporary directory is used, and removed at the stop.
        port: Where it listens. Without it, the first start chooses a free port, and later starts
            of this object use the same one.
        settings: The server's own settings, by their names in its manual.

    Raises:
        EmbeddedError: A setting is one that the URL depends on, or the port is none.
    """

    title: ClassVar[str]
    name: ClassVar[str]
    ending: ClassVar[tuple[signal.Signals, ...]]
    reserved: ClassVar[frozenset[str]]

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._temporary = directory is None
        self._directory = None if directory is None else Path(directory).absolute()
        self._port = port
        self._process: KeptProcess | None = None
        if port is not None and port not in range(65_536):
            raise EmbeddedError(
                f"{self.title} cannot listen on port {port}: a port is a number from 1 to 65535. "
                "Choose another one, or leave it out."
            )
        # To both servers, a name is the same in capitals.
        taken = sorted(name for name in self._settings if name.lower() in self.reserved)
        if taken:
            raise EmbeddedError(
                f"{self.title} does not take the setting {', '.join(taken)}: its URL depends on "
                "it. Leave it out; the argument port= chooses the port."
            )

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    @abstractmethod
    def url(self) -> str:
        """How to reach it."""

    @property
    def port(self) -> int:
        """The loopback port, the same for the life of this object."""
        return self._known(self._port, "port")

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        process = self._process
        return self._known(process.pid if process and process.alive else None, "process")

    @property
    def log(self) -> Path:
        """The file with what the server said."""
        return self._known(self._directory, "log") / f"{self.name}.log"

    @property
    def last_words(self) -> str:
        """The last lines of the log."""
        return _last_lines(self.log.read_text(errors="replace"))

    @property
    def running(self) -> bool:
        """Whether the server runs; False too if something else ended it."""
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing if it runs.

        A directory that has data is used as it is, also after a crash.

        Raises:
            EmbeddedError: It is not installed, its directory cannot be used or is in use, its
                port is taken, or it ended before it was ready.
        """
        if self.running:
            return
        try:
            self._end()
            self._launch()
        except OSError as error:
            self.stop(immediate=True)
            raise EmbeddedError(
                f"{self.title} did not start: {error}. It needs a directory that it can write."
            ) from error
        except BaseException:
            self.stop(immediate=True)
            raise

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server and wait until it is gone; does nothing if it does not run.

        A temporary directory is removed.

        Args:
            immediate: End it as a crash would, so that the next start has to recover.

        Raises:
            EmbeddedError: Not even SIGKILL ended it in time.
        """
        if self._process is not None and self._process.inherited:
            return
        self._end(immediate=immediate)
        if self._temporary and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def restart(self, *, immediate: bool = False) -> None:
        """Stop the server if it runs and start it on the same port with the same data.

        Args:
            immediate: As for stop().

        Raises:
            EmbeddedError: As for stop() and start().
        """
        self._end(immediate=immediate)
        self.start()

    @property
    def _home(self) -> Path:
        return self._known(self._directory, "directory")

    @property
    def _data(self) -> Path:
        return self._home / self.name

    @abstractmethod
    def _prepare(self) -> Account:
        """Make the data directory ready and return who runs the server."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def _is_ready(self, process: KeptProcess, port: int) -> bool:
        """Return whether this very process answers on the port."""

    def _passes(self, port: int, said: str) -> bool:
        """Return whether the reason for a failed start is gone at the next try."""
        del said
        return self._port is None and is_taken(port)

    def _known(self, value: _T | None, what: str) -> _T:
        if value is None:
            raise EmbeddedError(
                f"{self.title} has no {what}: it does not run. Call start(), or use it in a with "
                "block."
            )
        return value

    def _launch(self) -> None:
        self._make_home()
        with self._locked() as lock:
            account = self._prepare()
            deadline = time.monotonic() + START_PATIENCE
            while not self._try_once(account, lock, deadline):
                time.sleep(PAUSE)

    def _make_home(self) -> None:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            return
        self._directory = Path(tempfile.mkdtemp(prefix=f"jobstate-{self.name}-"))
        if os.geteuid() == 0:
            # Another user, who may not list it, passes through it to the data.
            self._directory.chmod(0o711)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the directory's lock, which the keeper goes on holding, and yield it."""
        path = self._home / f"{self.name}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + LOCK_PATIENCE
            while not _lock(lock):
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"{self.title} cannot use {self._home}: another server (process "
                        f"{path.read_text().strip() or 'unknown'}) uses it. Stop that one, or give "
                        "another directory."
                    )
                time.sleep(PAUSE)
            yield lock
        finally:
            os.close(lock)

    def _try_once(self, account: Account, lock: int, deadline: float) -> bool:
        """Return whether the server is ready, or False if it failed and may be tried again."""
        port = self._port or free_port()
        before = self.log.stat().st_size if self.log.exists() else 0
        self._process = KeptProcess(
            self._command(port),
            account=account,
            cwd=self._data,
            log=self.log,
            ending=self.ending,
            temporary=self._home if self._temporary else None,
            lock=lock,
        )
        os.pwrite(lock, f"{self._process.pid:<10}".encode(), 0)
        while self._process.alive and time.monotonic() < deadline:
            if self._is_ready(self._process, port):
                self._port = port
                return True
            time.sleep(PAUSE)
        self._end(immediate=True)
        said = self.log.read_bytes()[before:].decode(errors="replace")
        if time.monotonic() < deadline and self._passes(port, said):
            return False
        if is_taken(port):
            raise EmbeddedError(
                f"{self.title} cannot listen on port {port}: another program uses it. End that "
                "one, or choose another port."
            )
        raise EmbeddedError(
            f"{self.title} did not start in {self._home}: it was not ready within "
            f"{START_PATIENCE:.0f} s or ended before. Correct what its log {self.log} names:\n"
            f"{_last_lines(said)}"
        )

    def _end(self, *, immediate: bool = False) -> None:
        if self._process is not None:
            self._process.end(immediate=immediate)
            self._process = None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-10:])
