"""What a running attempt asks the store: its reports, items, logs and files, each write fenced."""

import time
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from jobstate.answers import first_value, nothing
from jobstate.assets import LATE, Content, NewAsset
from jobstate.attempts import Hold
from jobstate.errors import JobLocked
from jobstate.items import ItemKeys, Outcome
from jobstate.logs import Line
from jobstate.operations import asset_params
from jobstate.progress import Report
from jobstate.records import Asset
from jobstate.store import Operation, Row


def report_progress(hold: Hold, report: Report) -> Operation[bool | None]:
    """Write progress. True: the job is to be cancelled. None: it is held no more.

    This and the writes of items and logs wait for nobody: they raise `JobLocked` instead.
    """
    return Operation("report_progress", {**hold.params(), **report.params()}, _told(hold))


def record_items(hold: Hold, batch: Mapping[str, Outcome]) -> Operation[bool | None]:
    """Write outcomes of items. True: the job is to be cancelled. None: it is held no more."""
    params = {
        **hold.params(),
        "keys": list(batch),
        "statuses": [outcome.status for outcome in batch.values()],
        "labels": [outcome.label for outcome in batch.values()],
        "messages": [outcome.message for outcome in batch.values()],
    }
    return Operation("record_items", params, _told(hold))


def write_logs(hold: Hold, batch: Sequence[Line]) -> Operation[bool | None]:
    """Write what was logged. True: the job is to be cancelled. None: it is held no more."""
    now = time.monotonic()
    params = {
        **hold.params(),
        "ages": [now - line.at for line in batch],
        "levels": [line.level for line in batch],
        "loggers": [line.logger for line in batch],
        "messages": [line.message for line in batch],
    }
    return Operation("write_logs", params, _told(hold))


def only_items(job_id: UUID) -> Operation[ItemKeys | None]:
    """Read which items alone a job is to do. None: all of them."""

    def read(rows: list[Row]) -> ItemKeys | None:
        keys = first_value(rows)
        return None if keys is None else ItemKeys(keys)

    return Operation("only_items", {"id": job_id}, read)


def resume_items(hold: Hold) -> Operation[list[str] | None]:
    """Take over what earlier attempts have done, and list it. None: the job is held no more.

    Repeatable until the attempt records items of its own.
    """

    def read(rows: list[Row]) -> list[str] | None:
        return [key for (key,) in rows if key is not None] if rows else None

    return Operation("resume_items", hold.params(), read)


def add_asset(
    hold: Hold,
    asset_type: str,
    url: str,
    storage_path: str,
    file_size: int,
    *,
    content_type: str | None,
    sha256: str | None,
    landed_in: str | None = None,
) -> Operation[Asset | None]:
    """Link a file to the job that is held, or was landed in this transaction. None: it is not."""
    described = asset_params(asset_type, url, storage_path, file_size, content_type, sha256)
    return Operation(
        "add_asset",
        {**hold.params(), **described, "landed_in": landed_in},
        lambda rows: Asset.from_row(rows[0]) if rows else None,
    )


def has_files(hold: Hold) -> Operation[bool]:
    """Ask whether an attempt has files to show."""
    return Operation("has_files", hold.params(), first_value)


def begin_asset(hold: Hold, new: NewAsset, interval: float) -> Operation[bool | None]:
    """Announce a file. False: an asset has its path already. None: the job is held no more."""
    params = {
        **hold.params(),
        "asset_id": new.id,
        "asset_type": new.asset_type,
        "url": new.url,
        "storage_path": new.storage_path,
        "content_type": new.content_type,
        "interval": interval,
    }
    return Operation("begin_asset", params, first_value)


def finish_asset(hold: Hold, new: NewAsset, content: Content) -> Operation[Asset | None]:
    """Show a file that is stored. None: the job is held no more."""
    params = {
        **hold.params(),
        "asset_id": new.id,
        "file_size": content.size,
        "sha256": content.sha256,
    }
    return Operation("finish_asset", params, lambda rows: Asset.from_row(rows[0]) if rows else None)


def drop_asset(asset_id: UUID) -> Operation[None]:
    """Give up a file that was not stored. The sweeper looks for it once more, and forgets it."""
    return Operation("drop_asset", {"asset_id": asset_id, "late": LATE}, nothing)


def _told(hold: Hold) -> Callable[[list[Row]], bool | None]:
    def read(rows: list[Row]) -> bool | None:
        if rows and rows[0][0] is None:
            raise JobLocked(hold.job_id)
        told: bool | None = first_value(rows)
        return told

    return read
