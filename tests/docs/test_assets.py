"""The examples of docs/how-to/assets.md run as they are written."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jobstate

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "assets.md"


@pytest.fixture
def examples(broker_url: str, tmp_path: Path) -> list[str]:
    """The page's Python, with this test's servers and folder for those it names."""
    text = PAGE.read_text(encoding="utf-8")
    text = text.replace("redis://localhost/0", broker_url)
    text = text.replace("file:///srv/assets", (tmp_path / "assets").as_uri())
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_a_file_is_stored_and_read_back(
    examples: list[str],
    jobs_url: str,
    tmp_path: Path,
    user_id: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOBSTATE_DATABASE_URL", jobs_url)
    store, read = examples
    page: dict[str, Any] = {"__name__": "page"}
    exec(store, page)  # noqa: S102 - our own documentation
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
    exec(read, page)  # noqa: S102 - our own documentation
    assert b"".join(pieces).splitlines()[-1] == b"99"
    service.close()
