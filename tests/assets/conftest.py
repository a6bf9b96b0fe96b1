"""Storages of every kind that can run here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from jobstate import JobService
from jobstate.storage import Storage, open_storage
from tests.assets import clouds
from tests.assets.buckets import S3
from tests.assets.scene import FileScene
from tests.worker.site import Site

STORAGES = "folder,s3"

OpenSite = Callable[[str | None], AbstractContextManager[Site]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make test-clouds` uses."""
    parser.addoption("--storages", default=STORAGES, help="of folder, s3, gs, az")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name what is not tested here."""
    missing = "az" in _storages(config) and clouds.AZURITE is None
    return ["left out: Azure, which needs azurite-blob of npm's azurite"] if missing else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of storages once for each kind."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "storage_url" in metafunc.fixturenames and "storage_url" not in named:
        found = [
            kind
            for kind in _storages(metafunc.config)
            if kind != "az" or clouds.AZURITE is not None
        ]
        metafunc.parametrize("storage_url", found, indirect=True)


def _storages(config: pytest.Config) -> list[str]:
    return str(config.getoption("storages", default=STORAGES)).split(",")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 that stays up."""
    with S3() as server:
        yield server


@pytest.fixture(scope="session")
def gs() -> Iterator[str]:
    """A bucket of Google's."""
    with clouds.gcs() as url:
        yield url


@pytest.fixture(scope="session")
def az() -> Iterator[str]:
    """A container of Azure's."""
    with clouds.azure() as url:
        yield url


@pytest.fixture
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty storage, once of each kind."""
    match request.param:
        case "folder":
            return (tmp_path / "store").as_uri()
        case "s3":
            return str(request.getfixturevalue("s3").url(uuid4().hex))
        case cloud:
            url: str = request.getfixturevalue(cloud)
            return url.replace("bucket?", f"bucket/{uuid4().hex}?")


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
