"""What the bodies of these tests have in common."""

from typing import Any

import pytest

from jobstate import CurrentJob
from tests.completing.conftest import BodySite

FILE = {"url": "/1.csv", "storage_path": "1.csv", "file_size": 7}


class Undone(Exception):  # noqa: N818 - it is no error of the body's
    """Rolls back."""


def undo() -> None:
    raise Undone


def seen(site: BodySite, job: CurrentJob) -> tuple[str, int, int, int]:
    """Return what anybody else sees of a job: status, items, assets; and of the orders."""
    row = site.read(job.id)
    items = site.service.get_job_items(job.id, job.user_id)
    assets = site.service.get_job_assets(job.id, job.user_id)
    return row.status, len(items), len(assets), site.orders()


def raises(error: type[Exception], call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    return str(caught.value)
