"""Saves the files of a running job: row first, then the file, then the row says that it is there.

Whatever dies in between leaves a row that the sweeper finds, and the file with it.
"""

import hashlib
import io
import logging
import mimetypes
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote
from uuid import UUID

from jobstate.errors import InvalidValueError, JobStateError, StorageUnavailable
from jobstate.ids import new_id
from jobstate.records import Asset
from jobstate.storage import CHUNK, Storage
from jobstate.values import check_text, optional_text
from jobstate.waiting import backoff

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]
"""What an asset is made of: its bytes, the path of a file, or a file that is open for reading."""

MAX_NAME = 200
"""How long the name of a file may be, in bytes of UTF-8."""

TRIES = 4
"""How often a file is written before the storage counts as down."""

LATE = 900.0
"""How long after its clean-up a file may still appear, in seconds: no server waits as long for the
rest of a request whose sender is gone."""

logger = logging.getLogger("jobstate")


@dataclass(frozen=True, slots=True)
class NewAsset:
    """A file that is about to be stored."""

    id: UUID
    asset_type: str
    url: str
    storage_path: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """What was stored: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Rows(Protocol):
    """The rows of the assets of one attempt; each write raises when it no longer has its job."""

    def begin(self, new: NewAsset) -> bool:
        """Announce a file. False: there is one of that name already."""

    def go_on(self) -> None:
        """Say that the file is still being written."""

    def finish(self, new: NewAsset, content: Content) -> Asset:
        """Show the file."""

    def drop(self, new: NewAsset) -> None:
        """Give up the file, which is gone."""


class AssetSaver:
    """Stores the files of one attempt under ``{user_id}/{job_id}/{attempt}/``.

    Args:
        storage: Where they go.
        rows: Their rows.
        folder: The path of the attempt's folder; see `folder_of`.
        interval: How often a long upload tells its row that it goes on, in seconds.
    """

    def __init__(self, storage: Storage, rows: Rows, folder: str, interval: float) -> None:
        self._storage = storage
        self._rows = rows
        self._folder = folder
        self._interval = interval

    def save(
        self, asset_type: str, source: Source, name: str | None, content_type: str | None
    ) -> Asset:
        """Store a file and link it; see `CurrentJob.save_asset`."""
        check_text(asset_type, "asset type")
        name = check_name(name_of(source, asset_type) if name is None else name)
        path = f"{self._folder}/{name}"
        new = NewAsset(
            new_id(),
            asset_type,
            self._storage.url_of(path),
            path,
            optional_text(content_type, "content type") or mimetypes.guess_type(name)[0],
        )
        with _opened(source) as file:
            if not self._rows.begin(new):
                raise InvalidValueError(
                    f"This attempt has an asset {name!r} already: a name is used once. "
                    "Pass another name=."
                )
            try:
                return self._rows.finish(new, self._store(new, file))
            except Exception:
                self._drop(new)
                raise

    def _store(self, new: NewAsset, file: IO[bytes]) -> Content:
        # A source may have no more than read(), such as the answer of a web server.
        start = file.tell() if getattr(file, "seekable", bool)() else None
        pauses = backoff(0.5)
        for tries_left in reversed(range(TRIES)):
            try:
                return self._write(new, file)
            except StorageUnavailable as error:
                # The clean-up after an attempt that lost its job also ends its upload.
                self._rows.go_on()
                # A stream that is read cannot be read again.
                if start is None or not tries_left:
                    raise
                logger.warning("Asset %s is stored again: %s", new.storage_path, error)
            time.sleep(next(pauses))
            file.seek(start)
        raise AssertionError  # the last try returns or raises

    def _write(self, new: NewAsset, file: IO[bytes]) -> Content:
        size, digest, told_at = 0, hashlib.sha256(), time.monotonic()
        with self._storage.writer(new.storage_path, new.content_type) as write:
            for chunk in _chunks(file):
                write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if time.monotonic() - told_at >= self._interval:
                    self._rows.go_on()
                    told_at = time.monotonic()
            # The file appears with the end of the block: no longer than this without asking.
            self._rows.go_on()
        return Content(size, digest.hexdigest())

    def _drop(self, new: NewAsset) -> None:
        """Remove file and row, in this order; what cannot be is left to the sweeper."""
        try:
            self._storage.delete(new.storage_path)
            self._rows.drop(new)
        except JobStateError as error:
            logger.warning("Asset %s is left to the sweeper: %s", new.storage_path, error)


def folder_of(user_id: object, job_id: UUID, attempt: int) -> str:
    """Return the folder of an attempt's files. No other attempt, nor user, can have the same."""
    # An owner's id may be any text; as part of a path it must lead nowhere else.
    owner = quote(str(user_id), safe="@+=, ")
    if not owner.strip("."):
        owner = owner.replace(".", "%2E")
    return f"{owner}/{job_id}/{attempt}"


def name_of(source: Source, asset_type: str) -> str:
    """Name a file after the one it is made from, or after its type."""
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    named = getattr(source, "name", None)  # of an open file; a descriptor's is a number
    return Path(named).name if isinstance(named, str) else asset_type


def check_name(name: str) -> str:
    """Return the name of a file, unchanged.

    Raises:
        InvalidValueError: It is no plain name: empty, with a slash, a control character, too long.
    """
    check_text(name, "asset's name")
    if not name.strip(". ") or "/" in name or "\\" in name or not name.isprintable():
        raise InvalidValueError(
            f"The asset's name {name!r} is no plain file name: it has a slash or a control "
            "character, or nothing but dots and spaces. Pass a name such as 'orders-2026.csv'."
        )
    if (length := len(name.encode())) > MAX_NAME:
        raise InvalidValueError(
            f"The asset's name has {length} bytes: at most {MAX_NAME} are stored. "
            "Pass a shorter name=."
        )
    return name


def _opened(source: Source) -> AbstractContextManager[IO[bytes]]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    if not callable(getattr(source, "read", None)) or isinstance(source, io.TextIOBase):
        raise InvalidValueError(
            f"The asset's source is a {type(source).__name__}: it must be bytes, a path, or a file "
            "that is open for reading bytes. Open it with mode 'rb'."
        )
    # It is the caller's to close.
    return nullcontext(source)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InvalidValueError(
                f"The asset's source gives {type(chunk).__name__}: it must give bytes. "
                "Open it with mode 'rb'."
            )
        yield bytes(chunk)
