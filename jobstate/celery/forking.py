"""Forks beside the keeper's threads: a child must not inherit a lock that one of them holds.

Pool processes are forked while the keeper works: in its imports, connection pools and lazily made
objects there are locks, which nobody in the child would ever release. So there is in the stream it
logs to: Python makes the locks of logging anew in a child, and not that one.
"""

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

from jobstate.store import Operation, Store, Transaction

T = TypeVar("T")

_PATIENCE = 0.2
"""How long a fork waits for each thread, in seconds. One that takes longer waits for a server, and
holds none of these locks meanwhile."""

_WRITING = 10.0
"""How long a fork waits for records that are being written, in seconds: only a disk or a pipe that
stands still takes as long, or a machine that does. No lease of 30 s runs out meanwhile."""


def share_memory() -> None:
    """Have the processes that are forked from here on share what was imported until now.

    A collector that looks at an object writes to it, which gives each process a copy of its own: 35
    megabytes of a worker's imports.
    """
    gc.collect()
    gc.freeze()


class Work:
    """What a thread does in the ``with`` block: a fork waits for its end."""

    def __init__(self) -> None:
        self.begin_anew()
        _works.add(self)

    def __enter__(self) -> Self:
        """Wait while there is a fork."""
        with self._turnstile:
            self._busy.acquire()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let a fork go on."""
        self._busy.release()

    def pause(self) -> bool:
        """Keep the thread from beginning anything; return whether it could be stopped in time."""
        # Without the turnstile, a thread that does one thing after another would never let go.
        if not self._turnstile.acquire(timeout=_PATIENCE):
            return False
        paused = False
        try:
            paused = self._busy.acquire(timeout=_PATIENCE)
        finally:
            # Also when a signal raises meanwhile: the thread would wait for ever.
            if not paused:
                self._turnstile.release()
        return paused

    def resume(self) -> None:
        """Undo `pause`."""
        self._busy.release()
        self._turnstile.release()

    def begin_anew(self) -> None:
        """Forget everything: a child has no such thread."""
        self._turnstile = threading.Lock()
        self._busy = threading.Lock()


class KeeperStore(Store):
    """A store of one of the keeper's threads: no process is forked in the middle of a statement."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.work = Work()

    def run(self, operation: Operation[T], connection: Any = None) -> T:
        """Run an operation while nobody forks; see `Store.run`."""
        with self.work:
            return super().run(operation, connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Run several operations while nobody forks; see `Store.transaction`."""
        with self.work, super().transaction() as transaction:
            yield transaction


class _Held(threading.local):
    """What a thread holds while it forks; several may fork at once."""

    def __init__(self) -> None:
        self.paused: list[Work] = []
        self.silenced: list[Any] = []


_works: WeakSet[Work] = WeakSet()
_held = _Held()


def _before_fork() -> None:
    _held.paused.extend(work for work in list(_works) if work.pause())
    ends_at = time.monotonic() + _WRITING
    for lock in _locks_of_logging():
        if lock.acquire(timeout=max(0.0, ends_at - time.monotonic())):
            _held.silenced.append(lock)


def _after_fork_in_parent() -> None:
    while _held.silenced:
        _held.silenced.pop().release()
    while _held.paused:
        _held.paused.pop().resume()


def _after_fork_in_child() -> None:
    # Logging has made these anew already.
    _held.silenced.clear()
    _held.paused.clear()
    for work in list(_works):
        work.begin_anew()


def _locks_of_logging() -> Iterator[Any]:
    """Find what a thread holds while it writes a record of this library."""
    logger: logging.Logger | None = logging.getLogger("jobstate")
    while logger is not None:
        yield from (handler.lock for handler in logger.handlers if handler.lock is not None)
        logger = logger.parent if logger.propagate else None


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
