"""What one client is sent of a stream, as Server-Sent Events."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from jobstate.web.exchange import Stream
from jobstate.web.watch import Update, Viewer, Watch

KEEP_ALIVE = 15.0
"""After how many seconds of silence a client is sent a comment, so that no proxy hangs up."""

RECONNECT = 1000
"""When a client should come back after a connection that broke, in milliseconds."""

FRESH = 60.0
"""How much of the past a new stream of an owner begins with, in seconds: what has happened while
the page was made that now opens it."""

MISSED = "event: missed\ndata: {}\n\n"
"""What tells a client that more has changed than it is told: it should read its list again."""

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


_EPOCH = datetime.fromtimestamp(0, UTC)


def position_of(at: datetime) -> int:
    """Return a time as the position of a stream: microseconds."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def time_of(position: int) -> datetime:
    """Return the time of a position."""
    return _EPOCH + timedelta(microseconds=position)


class Feed:
    """Turns what a viewer is told into the events of its stream."""

    def __init__(self, stream: Stream, viewer: Viewer, watch: Watch) -> None:
        self._stream = stream
        self._viewer = viewer
        self._watch = watch
        self._position = stream.position
        self._has_landed = False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to send."""
        return self._has_landed or self._viewer.has_to_go

    def begin(self) -> str:
        """Join, and return what is sent first."""
        first = f"retry: {RECONNECT}\n\n"
        job, read = self._stream.job, self._stream.read
        if job is not None:
            if not job.is_terminal:
                self._watch.join_job(self._viewer, job)
            return first + self._job_event(Update(job, job.updated_at))
        assert read is not None  # noqa: S101 - see Stream
        if self._position is None:
            self._position = position_of(read.at - timedelta(seconds=FRESH))
        self._watch.join_owner(self._viewer, read)
        missed = MISSED if self._stream.has_missed else ""
        return f"{first}id: {self._position}\n\n{missed}{self.go_on()}"

    def go_on(self) -> str:
        """Return the events of what the viewer has been told."""
        updates = self._viewer.read()
        if self._stream.job is not None:
            return "".join(map(self._job_event, updates))
        return self._owner_events([update for update in updates if update.job is not None])

    def keep_alive(self) -> str:
        """Return what is sent when nothing has happened for some time."""
        if self._stream.job is None and self._watch.since is not None:
            self._position = position_of(self._watch.since)
            return f": nothing new\nid: {self._position}\n\n"
        return ": nothing new\n\n"

    def _job_event(self, update: Update) -> str:
        if update.job is None:
            self._has_landed = True
            return ""
        self._has_landed = update.job.is_terminal
        position = position_of(update.job.updated_at)
        if position == self._position:
            return ""
        self._position = position
        return _event(position, update.text(self._stream.base))

    def _owner_events(self, updates: list[Update]) -> str:
        # A client that leaves in between has not read all up to the new position.
        events = [_event(self._position, update.text(self._stream.base)) for update in updates[:-1]]
        for last in updates[-1:]:
            self._position = position_of(max(update.at for update in updates))
            events.append(_event(self._position, last.text(self._stream.base)))
        return "".join(events)


def _event(position: int | None, text: str) -> str:
    # JSON has its line breaks escaped: nothing in it can end the event.
    return f"id: {position}\nevent: job\ndata: {text}\n\n"
