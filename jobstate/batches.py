"""Batches: jobs that are created together, all or none, at a fraction of the cost of each alone."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from jobstate.creation import NewJob, create_job, taken
from jobstate.errors import InvalidValueError, OwnerRequired
from jobstate.records import Job
from jobstate.settings import Settings
from jobstate.store import Operation, Row, Script

PIECE = 1000
"""How many jobs one statement inserts."""

PUBLISHING = 0.001
"""How long the publication of one job of a batch may take, in seconds: the sweeper waits that long.
"""

_JSON = ("parameters", "message", "call")


def create_batch(jobs: Sequence[NewJob], settings: Settings) -> Script[list[tuple[Job, bool]]]:
    """Create jobs, or find those that exist in their place; say of each whether it is new.

    They belong into one transaction. Of two batches that race with the same idempotency keys, the
    second waits for the first to commit.

    Raises:
        InvalidValueError: One cannot be stored; the message has its place in the batch.
        OwnerRequired: One has no owner.
    """
    rows = [_row(place, new, settings, len(jobs)) for place, new in enumerate(jobs)]
    answers: dict[int, tuple[Job, bool]] = {}
    moment: datetime = yield Operation("batch_moment", {}, lambda found: found[0][0])
    # In one order, so that two batches never wait for each other.
    todo = sorted(range(len(jobs)), key=lambda place: jobs[place].idempotency_key or "")
    while todo:
        for places in _pieces(todo):
            created: dict[UUID, Job] = yield _insert([rows[place] for place in places], moment)
            # The same id may be there twice: the second finds the first.
            for place in places:
                if (job := created.pop(jobs[place].id, None)) is not None:
                    answers[place] = job, True
        todo = [place for place in todo if place not in answers]
        for places in _pieces(todo):
            found: dict[int, Job] = yield _find(
                [rows[place] for place in places], [jobs[place] for place in places]
            )
            answers |= {places[at]: (job, False) for at, job in found.items()}
        # Neither there nor free: they were deleted in between.
        todo = [place for place in todo if place not in answers]
    return [answers[place] for place in range(len(jobs))]


class BatchValueError(InvalidValueError):
    """A job of a batch cannot be stored; the message says which."""


def named(place: int, error: Exception) -> InvalidValueError | OwnerRequired:
    """Return the error of one job as one of its batch, which says which job it is."""
    if isinstance(error, OwnerRequired):
        return OwnerRequired(f"Job {place} of the batch")
    return BatchValueError(f"Job {place} of the batch (they are counted from 0): {error}")


def _row(place: int, new: NewJob, settings: Settings, count: int) -> str:
    try:
        params = dict(create_job(new, settings).params)
    except (InvalidValueError, OwnerRequired) as error:
        raise named(place, error) from error
    if params["publish_grace"] is not None:
        params["publish_grace"] += count * PUBLISHING
    texts = {name: text for name in _JSON if (text := params.pop(name)) is not None}
    said = {name: value for name, value in params.items() if value is not None}
    members = [_encode({**said, "place": place})[1:-1]]
    members += [f'"{name}":{text}' for name, text in texts.items()]
    return f"{{{','.join(members)}}}"


def _insert(rows: Sequence[str], moment: datetime) -> Operation[dict[UUID, Job]]:
    def read(found: list[Row]) -> dict[UUID, Job]:
        return {row[0]: Job.from_row(row) for row in found}

    return Operation("create_batch", {"jobs": _array(rows), "moment": moment}, read)


def _find(rows: Sequence[str], wanted: Sequence[NewJob]) -> Operation[dict[int, Job]]:
    def read(found: list[Row]) -> dict[int, Job]:
        jobs: dict[int, Job] = {}
        for place, is_same, *columns in found:
            if not is_same:
                raise taken(wanted[place - 1])
            jobs[place - 1] = Job.from_row(tuple(columns))
        return jobs

    return Operation("find_batch", {"jobs": _array(rows)}, read)


def _array(rows: Sequence[str]) -> str:
    return f"[{','.join(rows)}]"


def _pieces(places: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), PIECE):
        yield places[start : start + PIECE]


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_encode = json.JSONEncoder(default=_text).encode
