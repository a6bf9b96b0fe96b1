"""`save_asset` inside a body: what is stored, under which name, and what is refused."""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobstate import (
    Asset,
    ConfigurationError,
    CurrentJob,
    InvalidValueError,
    Job,
    JobTask,
    StorageUnavailable,
)
from jobstate.assets import check_name, folder_of, name_of
from jobstate.storage import open_storage, required
from tests.assets.buckets import S3
from tests.assets.conftest import OpenSite
from tests.worker.site import Site

Body = Callable[[CurrentJob], object]


def ran(site: Site, body: Body) -> Job:
    """Run a body as a job, here."""

    @site.app.task(base=JobTask, bind=True, name=uuid4().hex)
    def task(self: JobTask) -> None:
        body(self.job)

    return site.read(task.apply(user_id=site.user_id).id)


def saved(site: Site, source: Any, **options: Any) -> Asset:
    """Save one file in a job that completes."""
    job = site.completed(ran(site, lambda job: job.save_asset("csv", source, **options)))
    (asset,) = site.service.get_job_assets(job.id, site.user_id)
    return asset


def rows(site: Site) -> list[Any]:
    """Return every row of an asset, shown or not."""
    with site.service.store.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "select stored_at from jobstate.assets where cleaned_at is null"
        )
        return [at for (at,) in found]


@pytest.fixture
def site(open_site: OpenSite, storage_url: str) -> Iterator[Site]:
    with open_site(storage_url) as site:
        yield site


@pytest.fixture
def folder_site(open_site: OpenSite, tmp_path: Path) -> Iterator[Site]:
    url = (tmp_path / "store").as_uri()
    with open_site(url) as site:
        yield site


def test_an_upload_of_a_moment_hears_of_a_cancellation_too(folder_site: Site) -> None:
    """Though no progress is written so early."""

    class Cancelled(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            folder_site.service.cancel(self.name, folder_site.user_id)
            return super().read(size)

    def body(job: CurrentJob) -> None:
        source = Cancelled(b"id")
        source.name = str(job.id)
        job.save_asset("csv", source)

    job = ran(folder_site, body)
    folder_site.failed(job, "cancelled", "")
    assert rows(folder_site) == []


def test_a_file_is_stored_under_owner_job_attempt_and_name(site: Site, tmp_path: Path) -> None:
    source = tmp_path / "orders 2026.csv"
    source.write_bytes(b"id\n1\n")
    asset = saved(site, source)
    assert asset.storage_path == f"{site.user_id}/{asset.job_id}/1/orders 2026.csv"
    assert asset.url == open_storage(str(site.jobs.settings.storage_url)).url_of(asset.storage_path)
    assert (asset.file_size, asset.content_type) == (5, "text/csv")
    assert asset.sha256 == hashlib.sha256(b"id\n1\n").hexdigest()
    assert asset.stored_at is not None
    assert b"".join(site.service.open_asset(asset, site.user_id)) == b"id\n1\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path,
        lambda path: str(path),  # noqa: PLW0108 - it is what is tested
        lambda path: path.read_bytes(),
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: path.open("rb"),
    ],
)
def test_a_source_is_a_path_bytes_or_an_open_file(
    folder_site: Site, tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    (tmp_path / "data").write_bytes(b"data")
    asset = saved(folder_site, make(tmp_path / "data"), name="x.txt")
    assert b"".join(folder_site.service.open_asset(asset, folder_site.user_id)) == b"data"


def test_an_open_file_is_stored_from_where_it_stands_and_stays_open(folder_site: Site) -> None:
    source = io.BytesIO(b"header, data")
    source.seek(8)
    asset = saved(folder_site, source)
    assert b"".join(folder_site.service.open_asset(asset, folder_site.user_id)) == b"data"
    assert not source.closed


def test_a_media_type_is_guessed_unless_it_is_given(folder_site: Site) -> None:
    def body(job: CurrentJob) -> None:
        types = {
            name: job.save_asset("x", b"", name=name, content_type=given).content_type
            for name, given in (("a.json", None), ("b", None), ("c.json", "text/x-odd"))
        }
        assert types == {"a.json": "application/json", "b": None, "c.json": "text/x-odd"}

    folder_site.completed(ran(folder_site, body))


def test_a_name_is_used_once_in_an_attempt(site: Site) -> None:
    def body(job: CurrentJob) -> None:
        asset = job.save_asset("csv", b"first", name="x.csv")
        with pytest.raises(InvalidValueError, match=r"asset 'x\.csv' already"):
            job.save_asset("csv", b"second", name="x.csv")
        assert b"".join(site.service.open_asset(asset, site.user_id)) == b"first"

    site.completed(ran(site, body))
    assert len(rows(site)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        " ",
        "a/b",
        "/etc/passwd",
        "../x",
        "a\\b",
        "a\0b",
        "a\nb",
        "\ud800",
        "ü" * 101,
        5,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: Any) -> None:
    with pytest.raises(InvalidValueError, match="name"):
        check_name(name)


def test_a_refused_name_leaves_no_row(folder_site: Site) -> None:
    def body(job: CurrentJob) -> None:
        with pytest.raises(InvalidValueError):
            job.save_asset("csv", b"", name="../x")

    folder_site.completed(ran(folder_site, body))
    assert rows(folder_site) == []


def test_a_name_is_that_of_the_file_or_the_type(tmp_path: Path) -> None:
    assert name_of("a/b.csv", "csv") == "b.csv"
    assert name_of(Path("a/b.csv"), "csv") == "b.csv"
    assert name_of(b"", "csv") == "csv"
    assert name_of(io.BytesIO(), "csv") == "csv"
    with (tmp_path / "x.bin").open("wb") as file:
        assert name_of(file, "csv") == "x.bin"
    with open(0, "rb", closefd=False) as file:
        assert name_of(file, "csv") == "csv"


@pytest.mark.parametrize("user_id", ["..", ".", "../admin", "a/b", "a\\b", "%2E%2E", 7])
def test_a_folder_is_its_owners_alone(user_id: object) -> None:
    job_id = uuid4()
    owner, *rest = folder_of(user_id, job_id, 2).split("/")
    assert rest == [str(job_id), "2"]
    assert owner.strip(".")
    assert folder_of("%2E%2E", job_id, 2) != folder_of("..", job_id, 2)


@pytest.mark.parametrize("source", [5, None, io.StringIO("text"), object()])
def test_what_is_no_source_is_refused(folder_site: Site, source: Any) -> None:
    def body(job: CurrentJob) -> None:
        with pytest.raises(InvalidValueError, match=r"source is a .* must be bytes, a path"):
            job.save_asset("csv", source)

    folder_site.completed(ran(folder_site, body))
    assert rows(folder_site) == []


def test_a_path_without_a_file_is_an_error_and_leaves_nothing(
    folder_site: Site, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.csv"
    job = ran(folder_site, lambda job: job.save_asset("csv", missing))
    folder_site.failed(job, "exception", "[Errno 2] No such file")
    assert rows(folder_site) == []


class Broken(io.RawIOBase):
    """A stream that ends in an error."""

    def __init__(self) -> None:
        self._parts = iter([b"x" * 20_000_000])

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002 - it gives what it has
        """Read all there is, then fail."""
        try:
            return next(self._parts)
        except StopIteration:
            raise ZeroDivisionError("the source is broken") from None


def test_a_source_that_raises_leaves_nothing(site: Site, s3: S3) -> None:
    before = s3.unfinished()
    job = ran(site, lambda job: job.save_asset("csv", Broken()))
    site.failed(job, "exception", "the source is broken")
    assert rows(site) == []
    with pytest.raises(Exception, match="does not exist"):
        b"".join(required(site.service.storage).read(f"{site.user_id}/{job.id}/1/csv"))
    assert s3.unfinished() == before


def test_a_text_stream_in_disguise_leaves_nothing(folder_site: Site) -> None:
    class Text:
        def read(self, _: int) -> str:
            return "text"

        def seekable(self) -> bool:
            return False

    job = ran(folder_site, lambda job: job.save_asset("csv", Text()))  # type: ignore[arg-type]
    folder_site.failed(job, "exception", "The asset's source gives str")
    assert rows(folder_site) == []


def test_a_storage_that_is_down_fails_clearly(open_site: OpenSite) -> None:
    with S3() as server:
        url = server.url("x")
    with open_site(url) as site:

        def body(job: CurrentJob) -> None:
            with pytest.raises(StorageUnavailable, match="s3://bucket/x"):
                job.save_asset("csv", b"data")

        job = site.completed(ran(site, body))
        assert site.service.get_job_assets(job.id, site.user_id) == []
        # The file cannot be looked for: the row stays for the sweeper.
        assert rows(site) == [None]


def test_a_storage_that_comes_back_in_time_costs_nothing(
    folder_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = required(folder_site.service.storage)
    writer, failures = (
        storage.writer,
        iter([StorageUnavailable("down"), StorageUnavailable("down")]),
    )

    def flaky(*args: Any) -> Any:
        for failure in failures:
            raise failure
        return writer(*args)

    monkeypatch.setattr(storage, "writer", flaky)
    asset = saved(folder_site, io.BytesIO(b"data"))
    assert asset.sha256 == hashlib.sha256(b"data").hexdigest()


def test_without_a_storage_nothing_is_saved(open_site: OpenSite) -> None:
    with open_site(None) as site:

        def body(job: CurrentJob) -> None:
            with pytest.raises(ConfigurationError, match="jobstate_storage_url is not set"):
                job.save_asset("csv", b"data")

        site.completed(ran(site, body))
