"""Who watches which jobs, and what each has yet to be told. No input, no output, no threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from weakref import finalize

from jobstate.counters import VIEWERS_CAME, VIEWERS_LEFT
from jobstate.records import Job
from jobstate.states import JobStatus
from jobstate.store import Operation
from jobstate.watching import Change, Changes, changes
from jobstate.web.shapes import job_shape, to_text

OVERLAP = 10.0
"""How long a write may take from its time to its commit, in seconds; see `changes`."""


class Update:
    """A job as it has become at some tick; its JSON is written once for all viewers."""

    def __init__(self, job: Job | None, at: datetime) -> None:
        self.job = job
        self.at = at
        self._texts: dict[str, str] = {}

    def text(self, base: str) -> str:
        """Return the job in JSON, on one line."""
        assert self.job is not None  # noqa: S101 - nobody shows a job that is gone
        if base not in self._texts:
            self._texts[base] = to_text(job_shape(self.job, base))
        return self._texts[base]


class Viewer:
    """Somebody who watches a job, or all jobs of an owner.

    However slow it reads, it holds one update for each job: the last one.

    Args:
        wake: Tells it that there is something to read.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self.has_to_go = False
        self._wake = wake
        self._unread: dict[UUID, Update] = {}

    def tell(self, job_id: UUID, update: Update) -> None:
        """Have it read an update, in the place of an older one of the same job."""
        self._unread.pop(job_id, None)
        self._unread[job_id] = update
        self._wake()

    def read(self) -> list[Update]:
        """Return what it has not read, oldest first."""
        unread, self._unread = self._unread, {}
        return list(unread.values())

    def send_away(self) -> None:
        """Have it leave: the process ends."""
        self.has_to_go = True
        self._wake()


@dataclass(slots=True)
class _Entry:
    """A job that is watched, by itself or because of its owner."""

    job: Job
    latest: Update
    viewers: set[Viewer] = field(default_factory=set)

    @property
    def owner(self) -> str:
        """Whose job it is."""
        return str(self.job.user_id)


class Watch:
    """All viewers of one process, and the one question that answers them all."""

    def __init__(self) -> None:
        self._viewers: dict[Viewer, UUID | str] = {}
        # Those of an event loop that was closed never leave.
        finalize(self, _count_leaving, self._viewers)
        self._entries: dict[UUID, _Entry] = {}
        self._owners: dict[str, set[Viewer]] = {}
        self._since: datetime | None = None
        self._not_before: datetime | None = None
        """The earliest reading of those who came after the last question."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody watches."""
        return not self._viewers

    @property
    def since(self) -> datetime | None:
        """The time up to which everybody was told everything."""
        return self._since

    def join_job(self, viewer: Viewer, job: Job) -> None:
        """Tell a viewer from now on what becomes of a job, beyond what it has read."""
        VIEWERS_CAME.add()
        self._viewers[viewer] = job.id
        if job.id not in self._entries:
            self._entries[job.id] = _Entry(job, Update(job, job.updated_at))
        entry = self._entries[job.id]
        entry.viewers.add(viewer)
        if entry.job.updated_at > job.updated_at:
            viewer.tell(job.id, entry.latest)

    def join_owner(self, viewer: Viewer, read: Changes) -> None:
        """Tell a viewer what was read of an owner's jobs, and from now on what becomes of them."""
        for change in read.found:
            self._take(change, read.at)
        VIEWERS_CAME.add()
        owner = read.owner
        assert owner is not None  # noqa: S101 - an owner's viewer has asked for that owner
        self._viewers[viewer] = owner
        self._owners.setdefault(owner, set()).add(viewer)
        self._since = _earlier(self._since, read.at)
        self._not_before = _earlier(self._not_before, read.at)
        for job_id, entry in self._entries.items():
            if entry.owner == owner:
                viewer.tell(job_id, entry.latest)

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer, and what nobody watches any more."""
        watched = self._viewers.pop(viewer, None)
        if watched is not None:
            VIEWERS_LEFT.add()
        if isinstance(watched, str):
            self._owners[watched].discard(viewer)
            if not self._owners[watched]:
                del self._owners[watched]
                self._forget()
        elif watched in self._entries:
            self._entries[watched].viewers.discard(viewer)
            if not self._is_needed(self._entries[watched]):
                del self._entries[watched]

    def question(self) -> Operation[Changes]:
        """Ask what has changed since the last answer."""
        self._not_before = None
        known = {job_id: entry.job.updated_at for job_id, entry in self._entries.items()}
        return changes(known, list(self._owners), self._since, OVERLAP)

    def answer(self, read: Changes) -> None:
        """Tell everybody what concerns them: those who came since the question, too."""
        self._since = _earlier(self._not_before, read.at)
        for change in read.found:
            self._take(change, read.at)
        if self._owners:
            self._forget()

    def send_all_away(self) -> None:
        """Have all viewers leave."""
        for viewer in self._viewers:
            viewer.send_away()

    def _take(self, change: Change, at: datetime) -> None:
        """Remember a change, and tell it to whom it concerns."""
        update, entry = Update(change.job, at), self._entries.get(change.job_id)
        if change.job is None:
            gone = self._entries.pop(change.job_id, None)
            for viewer in gone.viewers if gone is not None else ():
                viewer.tell(change.job_id, update)
            return
        if entry is None:
            entry = self._entries[change.job_id] = _Entry(change.job, update)
        elif _is_news(change.job, entry.job):
            entry.job, entry.latest = change.job, update
        if entry.latest is update:
            for viewer in entry.viewers | self._owners.get(entry.owner, set()):
                viewer.tell(change.job_id, update)

    def _forget(self) -> None:
        for job_id in [id_ for id_, entry in self._entries.items() if not self._is_needed(entry)]:
            del self._entries[job_id]

    def _is_needed(self, entry: _Entry) -> bool:
        """Tell whether the next question must name this job, or its answer would."""
        if entry.viewers:
            return True
        if entry.owner not in self._owners:
            return False
        job = entry.job
        if job.status is JobStatus.PROCESSING or self._since is None:
            return True
        return (job.completed_at or job.created_at) > self._since - timedelta(seconds=OVERLAP)


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)


def _is_news(job: Job, known: Job) -> bool:
    """Tell whether a job was read later than it is known; whatever the clock, it lands once."""
    return job.updated_at > known.updated_at or (job.is_terminal and not known.is_terminal)


def _count_leaving(viewers: dict[Viewer, UUID | str]) -> None:
    for _ in viewers:
        VIEWERS_LEFT.add()
