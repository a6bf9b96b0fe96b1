"""Folders and buckets behave alike: a file is there as a whole, or not at all."""

import gc
import hashlib
import multiprocessing
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from s3fs import S3FileSystem

from jobstate import AssetNotFound, InvalidValueError, StorageUnavailable
from jobstate.storage import PART, Storage, open_storage
from tests.assets.buckets import S3
from tests.factories import PATIENCE

MB = 1024 * 1024

StoreFile = Callable[..., None]


def content(storage: Storage, path: str) -> bytes:
    return b"".join(storage.read(path))


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 5])
def test_what_was_written_is_read(storage: Storage, store_file: StoreFile, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    store_file("u/j/1/x", *(data[at : at + MB] for at in range(0, size, MB)))
    assert hashlib.sha256(content(storage, "u/j/1/x")).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("start", "end"), [(0, 5), (3, None), (PART - 2, PART + 2), (MB, 4 * MB), (2 * PART, 2 * PART)]
)
def test_a_part_is_read(
    storage: Storage, store_file: StoreFile, start: int, end: int | None
) -> None:
    data = bytes(range(251)) * (PART // 200)
    store_file("u/j/1/x", data)
    assert b"".join(storage.read("u/j/1/x", start, end)) == data[start:end]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (3, 2)])
def test_a_part_that_cannot_be_is_refused(
    storage: Storage, store_file: StoreFile, start: int, end: int | None
) -> None:
    store_file("u/j/1/x", b"abc")
    with pytest.raises(InvalidValueError, match="from byte"):
        list(storage.read("u/j/1/x", start, end))


@pytest.mark.parametrize("size", [10, 3 * PART])
def test_a_writer_that_fails_leaves_nothing(
    storage: Storage, s3: S3, tmp_path: Path, size: int
) -> None:
    before = s3.unfinished()

    def fail() -> None:
        with storage.writer("u/j/1/x", None) as write:
            write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(AssetNotFound):
        content(storage, "u/j/1/x")
    assert s3.unfinished() == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_is_being_written_is_not_seen(storage: Storage) -> None:
    with storage.writer("u/j/1/x", None) as write:
        write(b"x" * 2 * PART)
        with pytest.raises(AssetNotFound):
            content(storage, "u/j/1/x")
    assert len(content(storage, "u/j/1/x")) == 2 * PART


def test_deleting_is_repeatable_and_leaves_the_neighbours(
    storage: Storage, store_file: StoreFile
) -> None:
    store_file("u/j/1/x", b"x")
    store_file("u/j/1/y", b"y")
    store_file("u/j/2/x", b"z")
    storage.delete("u/j/1/x")
    storage.delete("u/j/1/x")
    storage.delete("never/was/1/there")
    assert content(storage, "u/j/1/y") == b"y"
    assert content(storage, "u/j/2/x") == b"z"


def test_a_name_may_hold_any_sign(storage: Storage, store_file: StoreFile) -> None:
    names = ["sp ace.csv", "Größe.csv", "100%.txt", "a#1", "a?b=c", "a+b&c", "it's", "[x]*", "~"]
    for name in names:
        store_file(f"u/j/1/{name}", name.encode())
    for name in names:
        assert content(storage, f"u/j/1/{name}") == name.encode()
        storage.delete(f"u/j/1/{name}")
        with pytest.raises(AssetNotFound):
            content(storage, f"u/j/1/{name}")


def test_files_of_one_folder_may_be_written_and_deleted_at_once(
    storage: Storage, store_file: StoreFile
) -> None:
    failed: list[Exception] = []

    def work(name: str) -> None:
        try:
            for _ in range(20):
                store_file(f"u/j/1/{name}", b"x")
                storage.delete(f"u/j/1/{name}")
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_storage_that_was_used_before_a_fork_works_after_it(
    storage: Storage, store_file: StoreFile
) -> None:
    """A pool process is forked from one whose sweeper has removed files."""
    store_file("u/j/1/x", b"x")
    child = multiprocessing.get_context("fork").Process(target=store_file, args=("u/j/1/y", b"y"))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert content(storage, "u/j/1/y") == b"y"


def test_a_forked_process_leaves_its_parents_connections_alone(
    s3: S3, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Neither those in use nor those that the parent has dropped and not yet collected."""
    parent, close = os.getpid(), S3FileSystem.close_session

    def close_in_parent(loop: object, connection: object) -> None:
        if os.getpid() != parent:
            os._exit(3)
        close(loop, connection)

    monkeypatch.setattr(S3FileSystem, "close_session", staticmethod(close_in_parent))
    request.addfinalizer(gc.enable)
    gc.disable()
    storages = [open_storage(s3.url(uuid4().hex)) for _ in range(2)]
    for storage in storages:
        storage.delete("u/j/1/x")
    del storages[0]

    def use_and_collect() -> None:
        storages.pop().delete("u/j/1/x")
        gc.collect()

    child = multiprocessing.get_context("fork").Process(target=use_and_collect)
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0


class LimitReached(Exception):  # noqa: N818 - as Celery's soft time limit
    """What a signal handler raises."""


def test_what_a_signal_raises_leaves_the_writer_as_it_is(storage: Storage) -> None:
    def write_for_ever() -> None:
        with storage.writer("u/j/1/x", None) as write:
            while True:
                write(b"x" * MB)

    with _alarm(), pytest.raises(LimitReached):
        write_for_ever()
    with pytest.raises(AssetNotFound):
        content(storage, "u/j/1/x")


def test_a_folder_is_tidy_again_when_all_is_deleted(tmp_path: Path) -> None:
    root = tmp_path / "store"
    storage = open_storage(root.as_uri())
    with storage.writer("u/j/1/x", None) as write:
        write(b"x")
    storage.delete("u/j/1/x")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("storage_url", ["folder", "s3"], indirect=True)
def test_deleting_removes_what_is_being_written_and_the_writer_learns_of_it(
    storage: Storage, s3: S3, tmp_path: Path
) -> None:
    """The others let an upload go on: there, the fence and the sweeper's second look see to it."""
    before = s3.unfinished()

    def lose_the_file() -> None:
        with storage.writer("u/j/1/x", None) as write:
            write(b"x" * (PART + MB))
            storage.delete("u/j/1/x")
            assert s3.unfinished() == before

    with pytest.raises(StorageUnavailable):
        lose_the_file()
    with pytest.raises(AssetNotFound):
        content(storage, "u/j/1/x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_bucket_knows_the_media_type_and_signs(s3: S3) -> None:
    folder = uuid4().hex
    storage = open_storage(s3.url(folder))
    for name, size in (("small", 1), ("large", PART + 1)):
        with storage.writer(name, "text/csv") as write:
            write(b"x" * size)
        assert s3.content_type(f"{folder}/{name}") == "text/csv"
    signed = storage.sign("small", 60)
    assert signed is not None
    with urllib.request.urlopen(signed) as answer:  # noqa: S310 - our own server
        assert answer.read() == b"x"


def test_a_folder_signs_nothing(tmp_path: Path) -> None:
    assert open_storage(tmp_path.as_uri()).sign("x", 60) is None


def test_a_url_shows_no_secret(s3: S3, tmp_path: Path) -> None:
    assert open_storage(s3.url("here")).url_of("u/x") == "s3://bucket/here/u/x"
    assert open_storage(tmp_path.as_uri()).url_of("u/x") == f"{tmp_path.as_uri()}/u/x"


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise LimitReached

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
