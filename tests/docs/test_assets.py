"""The examples of docs/how-to/assets.md run as they are written."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jobstate
from tests.examples import Example


@pytest.mark.examples("docs/how-to/assets.md")
def test_a_file_is_stored_and_read_back(
    examples: list[Example],
    broker_url: str,
    jobs_url: str,
    tmp_path: Path,
    user_id: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOBSTATE_DATABASE_URL", jobs_url)
    store, read = examples
    store.replace("redis://localhost/0", broker_url)
    store.replace("file:///srv/assets", (tmp_path / "assets").as_uri())
    page: dict[str, Any] = {"__name__": "page"}
    store.run(page)
    result = page["export_orders"].apply((str(tmp_path / "o.csv"),), user_id=user_id)
    service: jobstate.JobService = page["jobs"].service
    (asset,) = service.get_job_assets(result.id, user_id)
    assert asset.storage_path == f"{user_id}/{result.id}/1/orders.csv"
    assert (tmp_path / "assets" / asset.storage_path).stat().st_size == asset.file_size

    pieces: list[bytes] = []
    page |= {
        "job": service.get_job(result.id, user_id),
        "user": SimpleNamespace(id=user_id),
        "response": SimpleNamespace(write=pieces.append),
    }
    read.run(page)
    assert b"".join(pieces).splitlines()[-1] == b"99"
    service.close()
