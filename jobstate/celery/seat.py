"""What a worker's main process tells its pool: under which name to take jobs, who watches."""

import mmap
import os
from uuid import UUID

_NOBODY = bytes(16)


class Seat:
    """The worker's id, in memory that pool processes inherit when they are forked.

    A worker that was buried comes back with a new id, and its children must learn of it without
    a query. There are two places and a selector: a reader never sees half an id.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 2 + 2 * len(_NOBODY))
        self.main_pid: int | None = None
        """The worker's main process; None while this process is no part of a worker."""
        self.hostname = ""
        """The worker's name, as Celery's events have it."""

    @property
    def worker_id(self) -> UUID | None:
        """The id, or None while this process belongs to no registered worker."""
        start = 1 + len(_NOBODY) * self._memory[0]
        found = self._memory[start : start + len(_NOBODY)]
        return None if found == _NOBODY else UUID(bytes=found)

    @worker_id.setter
    def worker_id(self, worker_id: UUID | None) -> None:
        other = 1 - self._memory[0]
        start = 1 + len(_NOBODY) * other
        self._memory[start : start + len(_NOBODY)] = worker_id.bytes if worker_id else _NOBODY
        self._memory[0] = other

    @property
    def watched(self) -> bool:
        """Whether the worker sends task events: somebody watches it, or its user wants them."""
        return bool(self._memory[-1])

    @watched.setter
    def watched(self, watched: bool) -> None:
        self._memory[-1] = watched

    @property
    def in_pool_process(self) -> bool:
        """Whether this is a child that the worker's main process forked."""
        return self.main_pid not in (None, os.getpid())
