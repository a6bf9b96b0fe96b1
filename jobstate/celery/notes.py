"""Notes that first messages went out, written for many jobs at once.

Whoever enqueues a job goes on without one more statement and commit. A note is needed when the
sweeper first looks at the job, `jobstate_publish_grace` after its creation; until then it may be
late, as it says how long ago the message went out. Of a job that was taken meanwhile, nothing is
written at all.

A lost note costs a message more, which is dropped, and never a job. It is lost with a process that
is killed or ends by `os._exit`, with a database that stays away for all of the grace, and with one
that does not answer while the process ends. A forked process leaves its parent's to the parent.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from uuid import UUID
from weakref import WeakSet

from jobstate import publishing
from jobstate.celery.flusher import flusher
from jobstate.errors import JobStateError
from jobstate.store import Store

logger = logging.getLogger("jobstate")

MOST = 10_000
"""How many notes may wait: what comes then is noted at once."""

PATIENCE = 1.0
"""How long the end of a process, or of a service, waits for its notes, in seconds."""


class Notes:
    """Keeps which first messages went out, until a thread writes it. Safe across threads and forks.

    There is no lock, which a signal or a finaliser might ask for while its own thread has it: each
    use of the dictionary is one step.

    Args:
        store: Where they are written.
        grace: How old a job is when the sweeper first looks at it, in seconds. A note waits for a
            tenth of it at most, and is tried again for as long as it.
    """

    def __init__(self, store: Store, grace: float) -> None:
        self._store = store
        self._grace = grace
        self._pause = grace / 10
        self.begin_anew()
        _all.add(self)

    def begin_anew(self) -> None:
        """Forget everything: in a process that was forked, these are its parent's."""
        self._waiting: dict[UUID, float] = {}
        self._next_write_at = 0.0

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._waiting)

    def __contains__(self, job_id: UUID) -> bool:
        """Tell whether a job's first message went out, and its row may not say so yet."""
        return job_id in self._waiting

    def leave(self, ids: Collection[UUID]) -> bool:
        """Have noted that jobs' first messages went out just now; return False if it cannot be."""
        if len(self) + len(ids) > MOST:
            return False
        self._waiting.update(dict.fromkeys(ids, time.monotonic()))
        # Asked after they are in their place: what is written at that time or later has them.
        now = time.monotonic()
        if now >= self._next_write_at:
            self._next_write_at = now + self._pause
            try:
                flusher.wake(now + self._pause, self.write)
            except RuntimeError:  # The interpreter ends, and starts no more threads.
                self._forget(ids)
                return False
        return True

    def write(self) -> None:
        """Write what waits; where the database is away, have it tried again."""
        found = dict(self._waiting)
        if not found:
            return
        now = time.monotonic()
        ages = {job_id: now - at for job_id, at in found.items()}
        over = list(ages)
        try:
            for noted in publishing.note_first_published(ages):
                self._store.run(noted)
        except JobStateError as error:
            over = [job_id for job_id, age in ages.items() if age >= self._grace]
            if over:
                logger.warning("%d publications were not noted: %s", len(over), error)
        finally:
            self._forget(over)
        if len(over) < len(ages):
            self._write_later()

    def finish(self) -> None:
        """Have all written now, and wait for that, as long as a living database needs for it."""
        if not len(self):
            return
        done = threading.Event()

        def write_all() -> None:
            self.write()
            done.set()

        with suppress(RuntimeError):
            flusher.wake(0.0, write_all)
            done.wait(PATIENCE)
        if len(self):
            logger.debug("%d publications are not noted yet", len(self))

    def _write_later(self) -> None:
        at = self._next_write_at = time.monotonic() + self._pause
        flusher.wake(at, self.write)

    def _forget(self, ids: Iterable[UUID]) -> None:
        for job_id in ids:
            self._waiting.pop(job_id, None)


_all: WeakSet[Notes] = WeakSet()


def _begin_anew() -> None:
    for notes in list(_all):
        notes.begin_anew()


def _finish() -> None:
    for notes in list(_all):
        notes.finish()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_finish)
