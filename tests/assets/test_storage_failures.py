"""A storage that cannot be used says so, and why, without its secrets."""

import os
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from jobstate import ConfigurationError, StorageUnavailable
from jobstate.storage import PART, Storage, open_storage
from tests.assets.buckets import S3


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    storage = open_storage((tmp_path / "file").as_uri())
    with (
        pytest.raises(StorageUnavailable, match=re.escape((tmp_path / "file").as_uri())),
        storage.writer("u/j/1/x", None),
    ):
        pass


@pytest.mark.parametrize(("size", "times"), [(1, 1), (3000, 5), (1024 * 1024, 1)])
def test_a_disk_that_is_full_is_said_to_be_so(tmp_path: Path, size: int, times: int) -> None:
    """Also where it is the closing of the file that writes."""
    folder = tmp_path / "store/u/j/1.part"
    folder.mkdir(parents=True)
    (folder / "x").symlink_to("/dev/full")
    storage = open_storage((tmp_path / "store").as_uri())

    def write_all() -> None:
        with storage.writer("u/j/1/x", None) as write:
            for _ in range(times):
                write(b"x" * size)

    with pytest.raises(StorageUnavailable, match="No space left on device"):
        write_all()
    assert [path for path in tmp_path.rglob("*") if path.is_symlink() or path.is_file()] == []


def test_a_folder_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "u").touch()
    with pytest.raises(StorageUnavailable, match=re.escape(tmp_path.as_uri())):
        list(open_storage(tmp_path.as_uri()).read("u/j/1/x"))


def test_a_bucket_that_is_down_is_said_to_be_so_without_its_secrets() -> None:
    with S3() as server:
        storage = open_storage(server.url("here"))
    for act in (
        lambda: storage.delete("u/j/1/x"),
        lambda: list(storage.read("u/j/1/x")),
        lambda: _store(storage, 1),
        lambda: _store(storage, 2 * PART),
    ):
        with pytest.raises(StorageUnavailable) as raised:
            act()
        assert "s3://bucket/here" in str(raised.value)
        assert "secret" not in str(raised.value)


def test_a_bucket_that_refuses_is_said_to_be_so(s3: S3) -> None:
    storage = open_storage(s3.url("x").replace("s3://bucket", "s3://another"))
    with (
        pytest.raises(StorageUnavailable, match="bucket does not exist"),
        storage.writer("x", None) as write,
    ):
        write(b"x")


def test_a_bucket_whose_credentials_are_not_found_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where a role is away for a moment: signing asks for it, though it asks for no file."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    storage = open_storage("s3://bucket?region=us-east-1")
    with pytest.raises(StorageUnavailable, match="Unable to locate credentials"):
        storage.sign("x", 60)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown option colour: s3:// takes endpoint_url"):
        open_storage("s3://bucket?colour=red")


@pytest.mark.parametrize(
    ("url", "package"), [("s3://b", "s3fs"), ("gs://b", "gcsfs"), ("az://b", "adlfs")]
)
def test_a_missing_library_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    # fsspec remembers what it has found.
    found = import_module("fsspec.registry")._registry
    monkeypatch.delitem(found, url.partition(":")[0], raising=False)
    with pytest.raises(ConfigurationError, match=rf"{package} cannot .* jobstate\[storage\]"):
        open_storage(url)


def _store(storage: Storage, size: int) -> None:
    with storage.writer("u/j/1/x", None) as write:
        write(b"x" * size)
