"""Reading files back: for their owner alone, in pieces, or by a signed URL."""

import urllib.request
from collections.abc import Iterator
from uuid import uuid4

import pytest

from jobstate import (
    Asset,
    AssetNotFound,
    AsyncJobService,
    ConfigurationError,
    InvalidValueError,
    JobService,
    NotOwner,
)
from jobstate.storage import CHUNK, open_storage
from tests.assets.conftest import OpenSite
from tests.assets.scene import FileScene
from tests.assets.test_saving import saved
from tests.factories import hold_of, released, take
from tests.worker.site import Site

DATA = b"0123456789abcdef" * (3 * CHUNK // 16) + b"end"


@pytest.fixture
def site(open_site: OpenSite, storage_url: str) -> Iterator[Site]:
    """A site for each kind of storage."""
    with open_site(storage_url) as site:
        yield site


def test_a_file_comes_in_pieces(site: Site) -> None:
    asset = saved(site, DATA)
    for named in (asset, asset.id, str(asset.id)):
        pieces = list(site.service.open_asset(named, site.user_id))
        assert b"".join(pieces) == DATA
        assert max(map(len, pieces)) <= CHUNK


async def test_the_asyncio_service_reads_and_signs_too(site: Site) -> None:
    asset = saved(site, DATA)
    aio = AsyncJobService.from_settings(site.jobs.settings)
    assert b"".join([piece async for piece in aio.open_asset(asset, site.user_id)]) == DATA
    url = await aio.asset_url(asset, site.user_id)
    assert (url is None) == asset.url.startswith("file://")
    with pytest.raises(NotOwner):
        await aio.asset_url(asset, uuid4())
    with pytest.raises(AssetNotFound):
        await anext(aio.open_asset(uuid4(), site.user_id))
    await aio.close()


def test_a_bucket_gives_a_url_that_ends_and_a_folder_none(site: Site) -> None:
    asset = saved(site, b"data")
    url = site.service.asset_url(asset, site.user_id, expires=60)
    if asset.url.startswith("file://"):
        assert url is None
    else:
        assert url is not None
        assert "Expires" in url
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
            assert answer.read() == b"data"


def test_nobody_but_its_owner_reads_a_file(site: Site) -> None:
    asset = saved(site, b"data")
    with pytest.raises(NotOwner):
        site.service.open_asset(asset, uuid4())
    with pytest.raises(NotOwner):
        site.service.asset_url(asset, uuid4())


@pytest.mark.parametrize("asset", [uuid4(), "nonsense"])
def test_a_file_that_never_was_is_not_found(service: JobService, asset: object) -> None:
    with pytest.raises(AssetNotFound):
        service.open_asset(asset, uuid4())  # type: ignore[arg-type]


def test_a_file_that_is_gone_is_not_found(site: Site) -> None:
    asset = saved(site, b"data")
    open_storage(str(site.jobs.settings.storage_url)).delete(asset.storage_path)
    with pytest.raises(AssetNotFound):
        list(site.service.open_asset(asset, site.user_id))


def test_files_of_superseded_attempts_and_unfinished_ones_are_not_found(scene: FileScene) -> None:
    service = JobService(scene.store.engine)
    old = scene.held()
    owner = scene.read(old).user_id
    first: Asset = scene.stored(old)
    unfinished = scene.begun(old, "y")
    with pytest.raises(AssetNotFound):
        service.open_asset(unfinished.id, owner)
    released(scene.store, old)
    hold_of(take(scene.store, old.job_id, ticket=1).job)
    with pytest.raises(AssetNotFound):
        service.asset_url(first, owner)


def test_a_file_that_its_task_has_stored_is_the_tasks_to_open(service: JobService) -> None:
    owner = uuid4()
    job = service.create_job(owner, "report")
    asset = service.create_asset(job.id, owner, "csv", "https://example.org/x", "x", 4)
    assert service.asset_url(asset, owner) == "https://example.org/x"
    with pytest.raises(InvalidValueError, match=r"Open https://example\.org/x yourself"):
        service.open_asset(asset, owner)


def test_without_a_storage_no_file_can_be_read(scene: FileScene, service: JobService) -> None:
    hold = scene.held()
    asset = scene.stored(hold)
    with pytest.raises(ConfigurationError, match="jobstate_storage_url is not set"):
        service.open_asset(asset, asset.user_id)
