"""Writes later what nobody waits for, reports of bodies and notes: one thread for a process.

The thread starts with the first call that has to wait, after any fork, and ends when there is
nothing to do. Under gevent it is a greenlet.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from jobstate.celery.forking import Work

logger = logging.getLogger("jobstate")

LINGER = 2.0
"""How long the thread stays with nothing to do, in seconds."""

Call = Callable[[], None]


class Flusher:
    """Calls what it is given, when it is due, from its thread."""

    def __init__(self) -> None:
        self._work = Work()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget everything: a process that was forked has no such thread."""
        # A simple queue can be used in a signal's exception and in a collector's finaliser.
        self._inbox: SimpleQueue[tuple[float, Call]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def wake(self, at: float, call: Call) -> None:
        """Have `call` called at a time of `time.monotonic()`; returns at once.

        Raises:
            RuntimeError: The interpreter ends, and starts no more threads.
        """
        self._inbox.put((at, call))
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(
                target=self._work_off, args=(self._inbox,), name="jobstate-flusher", daemon=True
            )
            self._thread = thread
            thread.start()

    def _work_off(self, inbox: SimpleQueue[tuple[float, Call]]) -> None:
        waiting: list[tuple[float, Call]] = []
        while True:
            patience = min((at for at, _ in waiting), default=time.monotonic() + LINGER)
            try:
                waiting.append(inbox.get(timeout=max(0.0, patience - time.monotonic())))
            except Empty:
                if not waiting and self._may_end(inbox):
                    return
            now = time.monotonic()
            due = [call for at, call in waiting if at <= now]
            waiting = [later for later in waiting if later[0] > now]
            for call in due:
                self._call(call)

    def _may_end(self, inbox: SimpleQueue[tuple[float, Call]]) -> bool:
        # In this order: whoever adds something from here on starts another thread.
        self._thread = None
        return inbox.empty()

    def _call(self, call: Call) -> None:
        try:
            with self._work:
                call()
        except Exception:
            logger.exception("jobstate could not write what was to be written later")


flusher = Flusher()
os.register_at_fork(after_in_child=flusher.begin_anew)
