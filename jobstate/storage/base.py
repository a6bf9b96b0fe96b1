"""What every storage does. A file appears whole or not at all."""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from jobstate.errors import ConfigurationError, InvalidValueError, StorageUnavailable

CHUNK = 1024 * 1024
"""How much of a file is read at once, in bytes."""

PART = 8 * 1024 * 1024
"""How much of a file is sent at once, in bytes. S3 takes 10,000 parts: files of up to 80 GB."""

Write = Callable[[bytes], object]


class Storage(Protocol):
    """Keeps files by their path, such as ``user/job/1/orders.csv``.

    Every method raises `StorageUnavailable` when the storage cannot be reached, or refuses.
    """

    def url_of(self, path: str) -> str:
        """Return the URL of a file, without any secret."""

    def writer(self, path: str, content_type: str | None) -> AbstractContextManager[Write]:
        """Write a file in a ``with`` block, with what it gives: a function that takes bytes.

        The file is there when the block has ended. When it raises, there is none.
        """

    def read(
        self, path: str, start: int = 0, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the content of a file, from one byte up to another, which is left out.

        Raises `AssetNotFound` where there is none.
        """

    def delete(self, path: str) -> None:
        """Delete a file, and what an interrupted writer has left of it; it may be gone already."""

    def sign(self, path: str, expires: float) -> str | None:
        """Return a URL that anybody may read the file by for so many seconds, if there can be."""


def chunks(file: BinaryIO, start: int, end: int | None) -> Iterator[bytes]:
    """Yield an open file from one byte up to another, which is left out; None: up to its end."""
    if start < 0 or (end is not None and end < start):
        raise InvalidValueError(
            f"There is no part of a file from byte {start} up to {end}: bytes count from 0, and a "
            "part ends where it starts, or later. Pass such a start and end."
        )
    file.seek(start)
    at = start
    while chunk := file.read(CHUNK if end is None else min(CHUNK, end - at)):
        yield chunk
        at += len(chunk)


def required(storage: Storage | None) -> Storage:
    """Return the storage.

    Raises:
        ConfigurationError: There is none.
    """
    if storage is None:
        raise ConfigurationError(
            "jobstate_storage_url is not set: files of assets need a storage. "
            "Set it, for example to file:///srv/assets."
        )
    return storage


def unavailable(where: str, error: Exception) -> StorageUnavailable:
    """Return the error for what a storage has raised."""
    return StorageUnavailable(
        f"The storage {where} did not do what it was asked ({type(error).__name__}: {error}). "
        "Check that it can be reached, has room, and lets these credentials read and write."
    )
