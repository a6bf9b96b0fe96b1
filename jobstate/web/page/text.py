"""How the page words what a job's row says: numbers, times, statuses, lines of the history."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from jobstate.errors import JobStateError, NotRetryable
from jobstate.records import Job, JobEvent
from jobstate.states import JobStatus

STATUSES = {
    JobStatus.QUEUED: "Queued",
    JobStatus.PROCESSING: "Processing",
    JobStatus.COMPLETED: "Completed",
    JobStatus.PARTIAL: "Partial",
    JobStatus.FAILED: "Failed",
}

EVENTS = {
    "retry": "Will be tried again",
    "rescue": "Lost its worker",
    "republish": "Sent to the workers again",
    "cancel_requested": "Cancellation asked for",
    "delegate": "Handed over to other tasks",
    "duplicate_delivery": "A second delivery was turned away",
    "stale_write": "A write of an attempt that is over was refused",
}

PROBLEMS = {
    400: ("There is no such page", "Its address has something in it that cannot be."),
    401: ("Nobody is logged in", "Jobs belong to a user. Log in first."),
    403: ("That was not done", "The request came from another site than this one."),
    404: ("Nothing is here", "There is no such job or file, or it belongs to somebody else."),
    409: ("That cannot be done now", "The job has moved on meanwhile. Look at it again."),
    503: (
        "Out of order for a moment",
        "The jobs cannot be read just now. They go on meanwhile: look again in a few seconds.",
    ),
    500: ("This does not work", "The server is not set up as it should be. Its log says more."),
}
"""What went wrong, and what that means, by the status of the answer."""

_MOST_RESULT = 20_000
_MOST_FACTS = 8


def number(value: float) -> str:
    """Return a number with its thousands set apart, and no more digits than it needs."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{not value.is_integer():d}f}"


def size(count: int) -> str:
    """Return a number of bytes, in the unit that tells most."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def span(duration: timedelta | float) -> str:
    """Return how long something takes, in its two largest units; a float is in seconds."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if seconds < 10:  # noqa: PLR2004 - below it, tenths tell something
        return f"{max(0.0, seconds):.1f} s"
    rest, parts = round(seconds), []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def utc(at: datetime) -> str:
    """Return a time in UTC, to the second, for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def amount(job: Job) -> str:
    """Return how much of how much is done, where the body said so."""
    if job.progress_current is None:
        return ""
    done = number(job.progress_current)
    return f"{done} of {number(job.progress_total)}" if job.progress_total else done


def note(job: Job) -> str:
    """Return the one sentence that tells most about a job now."""
    if job.is_terminal:
        found = facts(job.result) or {}
        figures = " · ".join(f"{name}: {value}" for name, value in found.items())
        return job.error_message or figures
    if job.cancel_requested_at is not None:
        return "Cancelling …"
    return job.progress_message or ""


def what(event: JobEvent) -> str:
    """Return what a line of the history tells."""
    if event.to_status is None:
        return EVENTS.get(event.event, event.event.replace("_", " ").capitalize())
    if event.to_status is JobStatus.PROCESSING:
        return "Started again" if event.from_status is JobStatus.PROCESSING else "Started"
    return STATUSES[event.to_status]


def timeline(job: Job, events: Sequence[JobEvent]) -> list[JobEvent]:
    """Return the history, with the start of the latest attempt where that is not the first.

    The history has no event of its own for it: the job stays in processing.
    """
    if job.attempt <= 1 or job.attempt_started_at is None:
        return list(events)
    start = JobEvent(
        id=0,
        job_id=job.id,
        at=job.attempt_started_at,
        event="start",
        from_status=JobStatus.PROCESSING,
        to_status=JobStatus.PROCESSING,
        attempt=job.attempt,
        worker_id=job.worker_id,
        error_code=None,
        detail=None,
    )
    return sorted([*events, start], key=lambda event: event.at)


def facts(result: object) -> dict[str, str] | None:
    """Return a result that is a few short values as words and values; None: show its JSON."""
    if not isinstance(result, dict) or not 0 < len(result) <= _MOST_FACTS:
        return None
    plain = {}
    for name, value in result.items():
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        plain[name.replace("_", " ")] = value if isinstance(value, str) else number(value)
    return plain


def pretty(value: object) -> str:
    """Return JSON for people; the end of a long one is left out."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= _MOST_RESULT else f"{text[:_MOST_RESULT]}\n…"


def refusal(error: JobStateError) -> str:
    """Return why a job is not run again, for its owner."""
    if isinstance(error, NotRetryable):
        return (
            "This job cannot be run again: what it was called with was not kept. Start a new one."
        )
    return "This job still runs. Wait for its end, or cancel it, before you run it again."


FILTERS = {
    "number": number,
    "size": size,
    "span": span,
    "utc": utc,
    "amount": amount,
    "note": note,
    "what": what,
    "facts": facts,
    "pretty": pretty,
}
"""What the templates may use."""
