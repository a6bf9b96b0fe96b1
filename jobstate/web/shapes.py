"""How records look in JSON to the owner of a job. What is not named here never leaves."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from jobstate.records import Asset, Job, JobEvent, JobItem, JobLog

Shape = dict[str, Any]


def job_shape(job: Job, base: str) -> Shape:
    """Return a job as its owner sees it; `base` is where the routes are, such as ``/api``."""
    return {
        "id": str(job.id),
        "job_type": job.job_type,
        "status": job.status.value,
        "progress": job.progress,
        "progress_current": job.progress_current,
        "progress_total": job.progress_total,
        "progress_message": job.progress_message,
        "eta_seconds": job.eta_seconds,
        "result": job.result,
        "error_code": job.error_code,
        "error_message": job.error_message,
        "items": {
            "succeeded": job.items_succeeded,
            "failed": job.items_failed,
            "skipped": job.items_skipped,
        },
        "attempt": job.attempt,
        "parent_id": _text(job.parent_id),
        "retry_of": _text(job.retry_of),
        "created_at": _text(job.created_at),
        "started_at": _text(job.started_at),
        "updated_at": _text(job.updated_at),
        "completed_at": _text(job.completed_at),
        "cancel_requested_at": _text(job.cancel_requested_at),
        "is_terminal": job.is_terminal,
        "links": job_links(job.id, base),
    }


def job_links(job_id: UUID, base: str) -> dict[str, str]:
    """Return the paths of all that there is about a job."""
    here = job_path(job_id, base)
    names = ("assets", "history", "items", "logs", "events", "cancel", "retry")
    return {"self": here} | {name: f"{here}/{name}" for name in names}


def job_path(job_id: UUID, base: str) -> str:
    """Return the path of a job."""
    return f"{quote(base)}/jobs/{job_id}"


def asset_shape(asset: Asset, base: str) -> Shape:
    """Return a file of a job; where it is stored is for operators to know."""
    return {
        "id": str(asset.id),
        "job_id": str(asset.job_id),
        "asset_type": asset.asset_type,
        "name": asset_name(asset),
        "file_size": asset.file_size,
        "content_type": asset.content_type,
        "sha256": asset.sha256,
        "created_at": _text(asset.created_at),
        "links": {"download": f"{job_path(asset.job_id, base)}/assets/{asset.id}"},
    }


def asset_name(asset: Asset) -> str:
    """Return the name that a file is saved by."""
    return asset.storage_path.replace("\\", "/").rpartition("/")[2] or asset.asset_type


def event_shape(event: JobEvent) -> Shape:
    """Return a line of a job's history, without the traceback that some have."""
    return {
        "id": event.id,
        "at": _text(event.at),
        "event": event.event,
        "from_status": event.from_status and event.from_status.value,
        "to_status": event.to_status and event.to_status.value,
        "attempt": event.attempt,
        "error_code": event.error_code,
    }


def item_shape(item: JobItem) -> Shape:
    """Return what became of one item."""
    return {
        "key": item.key,
        "status": item.status.value,
        "label": item.label,
        "error_message": item.error_message,
        "at": _text(item.at),
    }


def log_shape(line: JobLog) -> Shape:
    """Return what the body of a job has logged."""
    return {
        "id": line.id,
        "at": _text(line.at),
        "attempt": line.attempt,
        "level": line.level,
        "message": line.message,
    }


def page_shape(items: list[Shape], next_cursor: str | None = None) -> Shape:
    """Return a list; `next_cursor` asks for the next page and is None on the last."""
    return {"items": items, "next_cursor": next_cursor}


def to_text(shape: Shape) -> str:
    """Write a shape as JSON, on one line, whatever a client takes for the end of one."""
    return json.dumps(shape, separators=(",", ":"))


def _text(value: UUID | datetime | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
