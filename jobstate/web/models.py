"""The shapes of `shapes.py` as models, for the OpenAPI document; a test compares the two."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from jobstate.states import ItemStatus, JobStatus

_JOB = "3f0c9b9e-6d0c-4b0c-9b8e-2f5d1c7a4e11"
_HERE = f"/jobs/{_JOB}"
_EXAMPLE: dict[str, JsonValue] = {
    "id": _JOB,
    "job_type": "export",
    "status": "processing",
    "progress": 40,
    "progress_current": 400.0,
    "progress_total": 1000.0,
    "progress_message": "Writing orders",
    "eta_seconds": 12.5,
    "result": None,
    "error_code": None,
    "error_message": None,
    "items": {"succeeded": 399, "failed": 1, "skipped": 0},
    "attempt": 1,
    "parent_id": None,
    "retry_of": None,
    "created_at": "2026-05-17T12:00:00+00:00",
    "started_at": "2026-05-17T12:00:01+00:00",
    "updated_at": "2026-05-17T12:00:09+00:00",
    "completed_at": None,
    "cancel_requested_at": None,
    "is_terminal": False,
    "links": {
        "self": _HERE,
        "assets": f"{_HERE}/assets",
        "history": f"{_HERE}/history",
        "items": f"{_HERE}/items",
        "logs": f"{_HERE}/logs",
        "events": f"{_HERE}/events",
        "cancel": f"{_HERE}/cancel",
        "retry": f"{_HERE}/retry",
    },
}


class Counts(BaseModel):
    """How many items of a job ended how."""

    succeeded: int = Field(ge=0)
    failed: int = Field(ge=0)
    skipped: int = Field(ge=0)


class JobLinks(BaseModel):
    """Where all is that there is about a job."""

    self: str
    assets: str
    history: str
    items: str
    logs: str
    events: str = Field(description="Server-Sent Events")
    cancel: str = Field(description="POST")
    retry: str = Field(description="POST")


class Job(BaseModel):
    """A job, as its owner sees it."""

    model_config = ConfigDict(title="Job", json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    job_type: str
    status: JobStatus
    progress: int = Field(ge=0, le=100, description="Per cent, rounded down")
    progress_current: float | None
    progress_total: float | None
    progress_message: str | None
    eta_seconds: float | None = Field(description="How long the rest takes, by the last report")
    result: Any = Field(description="What the task returned")
    error_code: str | None
    error_message: str | None
    items: Counts
    attempt: int = Field(ge=0)
    parent_id: UUID | None
    retry_of: UUID | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    cancel_requested_at: datetime | None
    is_terminal: bool
    links: JobLinks


class AssetLinks(BaseModel):
    """Where a file is."""

    download: str


class Asset(BaseModel):
    """A file that a job made."""

    id: UUID
    job_id: UUID
    asset_type: str
    name: str
    file_size: int = Field(ge=0, description="Bytes")
    content_type: str | None
    sha256: str | None
    created_at: datetime
    links: AssetLinks


class Event(BaseModel):
    """A line of a job's history."""

    id: int
    at: datetime
    event: str = Field(examples=["transition", "retry", "rescue", "cancel_requested"])
    from_status: JobStatus | None
    to_status: JobStatus | None
    attempt: int = Field(ge=0)
    error_code: str | None


class Item(BaseModel):
    """What became of one item of a job."""

    key: str
    status: ItemStatus
    label: str | None
    error_message: str | None
    at: datetime


class Log(BaseModel):
    """What the body of a job has logged."""

    id: int
    at: datetime
    attempt: int = Field(ge=1)
    level: str = Field(examples=["INFO"])
    message: str


class _List(BaseModel):
    next_cursor: str | None = Field(description="Asks for the next page; null on the last")


class JobList(_List):
    """One page of jobs, newest first."""

    items: list[Job]


class AssetList(_List):
    """The files of a job."""

    items: list[Asset]


class EventList(_List):
    """The history of a job, oldest first."""

    items: list[Event]


class ItemList(_List):
    """One page of the items of a job, in the order they were recorded."""

    items: list[Item]


class LogList(_List):
    """One page of what a job has logged, oldest first."""

    items: list[Log]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str
