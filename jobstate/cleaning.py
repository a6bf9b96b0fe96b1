"""Removes what nobody needs any more: files of attempts that are over, and jobs that are old.

The file goes first, then the row. Only files that `save_asset` has stored are ever touched, and
never one that another asset names.
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from jobstate.assets import LATE
from jobstate.errors import StorageUnavailable
from jobstate.settings import Settings
from jobstate.states import TERMINAL_STATUSES, JobStatus
from jobstate.store import Operation, Store

logger = logging.getLogger("jobstate")

BATCH = 100
"""How many files, or jobs, are removed in a row."""

ROUNDS = 10
"""How many batches one call works off, unless it must come to an end of all."""

TURN = 2.0
"""How long a sweeper removes files before others have their turn, in seconds."""

REST = 60.0
"""How long a storage that is down is left alone, in seconds."""

REFUSALS = 3
"""How many files in a row must be refused for the storage to count as down."""

ASIDE = 3600.0
"""How long a file that cannot be removed is set aside, in seconds: it keeps no other waiting."""

MOST_ASIDE = 10_000
"""How many files are remembered as set aside; of more, all are tried again."""


class Files(Protocol):
    """As much of a `Storage` as is needed here."""

    def url_of(self, path: str) -> str:
        """Return the URL of a file."""

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that jobstate has stored, or was about to store."""

    asset_id: UUID
    job_id: UUID
    storage_path: str
    url: str
    is_shared: bool
    """Whether another asset names it, which is to stay."""


@dataclass(frozen=True, slots=True)
class OldJob:
    """A job that was kept long enough."""

    job_id: UUID
    landed_at: datetime


class Cleaner:
    """Removes files and jobs. Any number may work at once.

    Args:
        store: The database.
        settings: What is kept, and for how long.
        files: The storage; without it, what has files is left alone.
    """

    def __init__(self, store: Store, settings: Settings, files: Files | None) -> None:
        self._store = store
        self._settings = settings
        self._files = files
        self._rests_until = 0.0
        self._turn_ends_at = math.inf
        self._refused_in_a_row = 0
        self._aside: dict[UUID, float] = {}
        self._expired_to: OldJob | None = None

    def clean_assets(self) -> int:
        """Remove files of attempts that are over; return how many."""
        cleaned = 0
        self._turn_ends_at = time.monotonic() + TURN
        for _ in range(ROUNDS):
            if not self._may_remove_files:
                break
            due = self._store.run(due_assets(self._settings.sweep_interval, BATCH))
            gone = [file for file in due if self._remove(file)]
            for file in gone:
                cleaned += self._store.run(forget_asset(file.asset_id))
            if not gone:
                break
        return cleaned

    def purge_expired(self) -> int:
        """Remove jobs that were kept as long as the settings say; return how many."""
        retention = self._settings.retention
        if not retention:
            return 0
        self._turn_ends_at = time.monotonic() + TURN
        # The next call goes on where this one ends: what stays must not be all that is looked at.
        purged, self._expired_to = self._purge_from(self._expired_to, retention, ROUNDS)
        return purged

    def purge(self, ages: Mapping[JobStatus, float]) -> int:
        """Remove jobs that landed longer ago than their status is kept; return how many.

        Args:
            ages: For each status, the age in seconds.
        """
        return self._purge_from(None, ages, None)[0]

    def _purge_from(
        self, last: OldJob | None, ages: Mapping[JobStatus, float], rounds: int | None
    ) -> tuple[int, OldJob | None]:
        """Remove those after this one, in so many batches, or all; return how many, and to where.

        A batch of which there was no time to remove all files counts as not looked at.
        """
        purged, done, done_to = 0, 0, last
        while rounds is None or done < rounds:
            done += 1
            # From where it was: neither what stays is tried again, nor the rows that are gone read.
            found = self._store.run(purgeable(ages, last, BATCH, with_files=self._may_remove_files))
            purged += len(self._purge([old.job_id for old in found]))
            if len(found) < BATCH:
                return purged, None
            last = found[-1]
            if self._may_remove_files:
                done_to = last
        return purged, done_to

    def _purge(self, job_ids: list[UUID]) -> set[UUID]:
        if not job_ids:
            return set()
        files = self._store.run(files_of(job_ids))
        gone = {file for file in files if self._remove(file)}
        # Row by row, so that a job with very many files is done with one day.
        self._store.run(forget_files([file.asset_id for file in gone]))
        waiting = {file.job_id for file in files if file not in gone}
        return self._store.run(purge_jobs([job for job in job_ids if job not in waiting]))

    @property
    def _may_remove_files(self) -> bool:
        now = time.monotonic()
        return self._files is not None and self._rests_until <= now < self._turn_ends_at

    def _remove(self, file: StoredFile) -> bool:
        """Delete a file; return whether its row may go."""
        if file.is_shared:
            return True
        if self._files is None or not self._may_remove_files:
            return False
        if time.monotonic() < self._aside.get(file.asset_id, 0.0):
            return False
        if self._files.url_of(file.storage_path) != file.url:
            logger.warning(
                "Asset %s is left where it is: %s is not in the storage that is set now.",
                file.asset_id,
                file.url,
            )
            self._set_aside(file)
            return False
        try:
            self._files.delete(file.storage_path)
        except StorageUnavailable as error:
            self._refused(file, error)
            return False
        self._refused_in_a_row = 0
        return True

    def _refused(self, file: StoredFile, error: StorageUnavailable) -> None:
        """Set a file aside; and have the storage rest, unless it may be this file alone."""
        self._set_aside(file)
        self._refused_in_a_row += 1
        if self._refused_in_a_row < REFUSALS and self._may_remove_files:
            logger.warning("Asset %s is removed in %.0f s: %s", file.asset_id, ASIDE, error)
            return
        self._refused_in_a_row = 0
        self._rests_until = time.monotonic() + REST
        logger.warning("Files are removed in %.0f s: %s", REST, error)

    def _set_aside(self, file: StoredFile) -> None:
        if len(self._aside) >= MOST_ASIDE:
            self._aside.clear()
        self._aside[file.asset_id] = time.monotonic() + ASIDE


def due_assets(interval: float, limit: int) -> Operation[list[StoredFile]]:
    """List files that no attempt will ever show; what is looked at moves to the back."""
    return Operation(
        "due_assets",
        {"interval": interval, "limit": limit},
        lambda rows: [StoredFile(*row) for row in rows],
    )


def forget_asset(asset_id: UUID) -> Operation[bool]:
    """Delete the row of a file that no attempt will ever show, and that is gone.

    False: one that was not stored is looked for once more.
    """
    return Operation("forget_asset", {"asset_id": asset_id, "late": LATE}, bool)


def purgeable(
    ages: Mapping[JobStatus, float], after: OldJob | None, limit: int, *, with_files: bool
) -> Operation[list[OldJob]]:
    """List jobs that were kept long enough, those that landed first, after this one."""
    params = {
        **{f"{status}_age": ages.get(status) for status in TERMINAL_STATUSES},
        "after_at": after and after.landed_at,
        "after_id": after and after.job_id,
        "limit": limit,
        "with_files": with_files,
    }
    return Operation("purgeable", params, lambda rows: [OldJob(*row) for row in rows])


def files_of(job_ids: list[UUID]) -> Operation[list[StoredFile]]:
    """List the files that jobstate has stored for these jobs."""
    return Operation("files_of", {"ids": job_ids}, lambda rows: [StoredFile(*row) for row in rows])


def forget_files(asset_ids: list[UUID]) -> Operation[None]:
    """Delete the rows of files that are gone."""
    return Operation("forget_files", {"ids": asset_ids}, lambda _: None)


def purge_jobs(job_ids: list[UUID]) -> Operation[set[UUID]]:
    """Delete those of these jobs that nothing needs any more; answer which."""
    return Operation("purge_jobs", {"ids": job_ids}, lambda rows: {job_id for (job_id,) in rows})
