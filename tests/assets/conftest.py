"""Storages of every kind that can run here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from jobstate import JobService
from jobstate.storage import Storage, open_storage
from tests.assets.buckets import S3
from tests.assets.scene import FileScene
from tests.worker.site import Site

OpenSite = Callable[[str | None], AbstractContextManager[Site]]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 that stays up."""
    with S3() as server:
        yield server


@pytest.fixture(params=["folder", "s3"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage, once of each kind."""
    if request.param == "folder":
        return (tmp_path / "store").as_uri()
    return str(request.getfixturevalue("s3").url(uuid4().hex))


@pytest.fixture
def storage(storage_url: str) -> Storage:
    """An empty storage, once of each kind."""
    return open_storage(storage_url)


@pytest.fixture
def store_file(storage: Storage) -> Callable[..., None]:
    """Write a file in pieces."""

    def write_all(path: str, *pieces: bytes, content_type: str | None = None) -> None:
        with storage.writer(path, content_type) as write:
            for piece in pieces:
                write(piece)

    return write_all


@pytest.fixture
def open_site(emptied_url: str, broker_url: str) -> OpenSite:
    """Open a site without a worker, for a storage or none; its tasks run where they are called."""

    @contextmanager
    def open_one(url: str | None) -> Iterator[Site]:
        with Site(emptied_url, broker_url, jobstate_storage_url=url) as site:
            yield site

    return open_one


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url


@pytest.fixture
def scene(
    service: JobService, connect: Callable[[], psycopg.Connection], tmp_path: Path
) -> FileScene:
    """A sweeper whose files are in a folder."""
    scene = FileScene(service.store, connect())
    scene.keep_files_in(tmp_path / "store")
    return scene
