"""Compares the tables with the model, and finds out what a sweeper has done and whether it may."""

from uuid import UUID

from tests.promise.ledger import Entry, Span
from tests.promise.stage import Watcher


class Judge:
    """Knows what must be true of every job and every worker."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._publishes: dict[UUID, int] = {}
        self.entries: dict[UUID, Entry] = {}
        self.leases: dict[UUID, Span] = {}
        """When the lease of each worker runs out."""
        self.given_up: set[UUID] = set()
        """The workers that were buried."""

    def check(self) -> None:
        """Every job is as the model says."""
        rows = self._watcher.rows()
        assert set(rows) == set(self.entries)
        for job_id, entry in self.entries.items():
            expected = entry.expected()
            assert {name: rows[job_id][name] for name in expected} == expected
            self._publishes[job_id] = rows[job_id]["publishes"]

    def explain(self, at: Span) -> None:
        """Take over what a sweeper has done just now, as far as it may."""
        buried = self._watcher.given_up() - self.given_up
        for worker_id in buried:
            assert self.leases[worker_id].may_be_over(at), "a live worker was given up"
        self.given_up |= buried
        rows = self._watcher.rows()
        for job_id, entry in self.entries.items():
            entry.doom(at, self._publishes[job_id])
        for job_id, entry in self.entries.items():
            entry.explain(rows[job_id], self.given_up)
