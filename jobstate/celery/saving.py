"""Stores the files of a running attempt, with rows that are fenced like all it writes."""

from jobstate import reporting
from jobstate.assets import AssetSaver, Content, NewAsset, folder_of
from jobstate.celery.attempt import Attempt
from jobstate.records import Asset
from jobstate.storage import required


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

    def finish(self, new: NewAsset, content: Content) -> Asset:
        # The answer must be known before anybody may delete the file.
        return self._attempt.fence.require(reporting.finish_asset(self._attempt.hold, new, content))

    def drop(self, new: NewAsset) -> None:
        self._attempt.runtime.service.store.run(reporting.drop_asset(new.id))
