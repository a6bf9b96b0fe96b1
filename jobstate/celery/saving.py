"""Links and stores the files of a running attempt, with rows fenced like all that it writes."""

from contextlib import suppress

from jobstate import reporting
from jobstate.assets import AssetSaver, Content, NewAsset, folder_of
from jobstate.celery.attempt import Attempt
from jobstate.errors import LeaseLost, StoreUnavailable
from jobstate.records import Asset
from jobstate.storage import required
from jobstate.store import Operation, driver_connection


def link(attempt: Attempt, added: Operation[Asset | None], connection: object = None) -> Asset:
    """Link a file that is stored already; with `connection`, in the caller's transaction.

    Raises:
        JobCompleted: The job was completed in another transaction.
        LeaseLost: The job was taken away; nothing was linked.
        StoreUnavailable: The database cannot be reached.
        TransactionOpen: The job was written in another transaction, which is still open.
    """
    if connection is not None:
        within = driver_connection(connection)
        script = attempt.joining.add_asset(within, added)
        return attempt.runtime.service.store.run_each(script, within)
    attempt.joining.settle()
    attempt.fence.refuse_completed()
    asset = attempt.fence.run(added)
    if asset is None:
        raise LeaseLost(attempt.hold.job_id, attempt.hold.attempt)
    return asset


def saver_of(attempt: Attempt) -> AssetSaver:
    """Return what stores files of an attempt.

    Raises:
        ConfigurationError: No storage is set, or its library is missing.
    """
    settings = attempt.runtime.settings
    return AssetSaver(
        required(attempt.runtime.service.storage),
        _FencedRows(attempt),
        folder_of(attempt.job.user_id, attempt.job.id, attempt.hold.attempt),
        settings.heartbeat,
    )


class _FencedRows:
    """The rows of an attempt's files; see `jobstate.assets.Rows`."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def begin(self, new: NewAsset) -> bool:
        self._attempt.joining.settle()
        self._attempt.fence.refuse_completed()
        interval = self._attempt.runtime.settings.sweep_interval
        return self._attempt.fence.require(reporting.begin_asset(self._attempt.hold, new, interval))

    def go_on(self) -> None:
        self._attempt.reports.report()
        # A report may wait for its time: no file is to appear of a job that is over by now.
        with suppress(StoreUnavailable):
            self._attempt.fence.check()

    def finish(self, new: NewAsset, content: Content) -> Asset:
        # The answer must be known before anybody may delete the file.
        return self._attempt.fence.require(reporting.finish_asset(self._attempt.hold, new, content))

    def drop(self, new: NewAsset) -> None:
        self._attempt.runtime.service.store.run(reporting.drop_asset(new.id))
