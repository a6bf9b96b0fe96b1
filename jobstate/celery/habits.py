"""What bodies do that were written for Celery and tqdm alone, as reports on a job."""

import threading
from collections.abc import Mapping
from typing import Any

from jobstate.amounts import check_amount
from jobstate.celery.reports import Reports
from jobstate.errors import InvalidValueError
from jobstate.progress import Loop

_AMOUNTS = ("current", "total")
_PERCENTAGES = ("percent", "progress")
_MESSAGES = ("message", "description")


def report_meta(reports: Reports, meta: object) -> None:
    """Report what ``update_state(meta=...)`` says of progress, and leave out what makes no sense.

    Raises:
        JobCancelled: The job was cancelled.
        LeaseLost: The job was taken away.
    """
    if not isinstance(meta, Mapping):
        return
    said: dict[str, Any] = {}
    for name in _AMOUNTS:
        if (amount := _sensible(meta.get(name))) is not None:
            said[name] = amount
    for name in _PERCENTAGES:
        if (percent := _sensible(meta.get(name))) is not None and percent <= 100:  # noqa: PLR2004
            said.setdefault("percent", percent)
    for name in _MESSAGES:
        if isinstance(meta.get(name), str):
            said.setdefault("message", meta[name])
    if said:
        reports.progress.remember(**said)
        if not reports.progress.pending:
            reports.report()


def tqdm_for(reports: Reports) -> type[Any]:
    """Return a subclass of ``tqdm.tqdm`` that reports to the job, and prints nothing.

    Raises:
        ImportError: tqdm is not installed.
    """
    from tqdm.std import tqdm  # noqa: PLC0415 - nobody else needs it

    class JobBar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """A bar of one body. Of several at a time the first counts, like a tracked loop."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._body = threading.get_ident()
            self._job_loop: Loop | None = None
            self._begun = False
            super().__init__(*args, **{**kwargs, "file": _Nowhere()})

        def refresh(self, *_: Any, **__: Any) -> bool:
            """Report where tqdm would print."""
            progress = reports.progress
            desc = (self.desc or "").removesuffix(": ") or None
            if not self._begun:
                self._begun = True
                self._job_loop = progress.begin_loop(_sensible(self.total), desc)
            if self._job_loop is not None:
                total = _sensible(self.total)
                progress.remember(current=_sensible(self.n), total=total, message=desc)
            elif desc is not None:
                progress.remember(message=desc)
            # tqdm's own monitor comes by here too, and has nobody to raise anything to.
            if not progress.pending and threading.get_ident() == self._body:
                reports.report()
            return True

        def display(self, *_: Any, **__: Any) -> bool:
            """Print nothing."""
            return True

        def close(self) -> None:
            """Report the end."""
            if not self.disable and self._job_loop is not None:
                reports.progress.remember(current=_sensible(self.n))
                reports.progress.hand_in()
            super().close()
            self._job_loop = None

    return JobBar


class _Nowhere:
    def write(self, _: str) -> None:
        """Print nothing."""

    def flush(self) -> None:
        """Have nothing to print."""


def _sensible(amount: object) -> float | None:
    """Return an amount that can be reported; None for anything else."""
    if not isinstance(amount, int | float):
        return None
    try:
        return check_amount(amount, "amount")
    except InvalidValueError:
        return None
