"""Where the files of assets are: a folder, or a bucket of S3, Google Cloud Storage or Azure.

The only place that imports fsspec. A file appears whole or not at all.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from jobstate.errors import AssetNotFound, ConfigurationError, JobStateError, StorageUnavailable

CHUNK = 1024 * 1024
"""How much of a file is read at once, in bytes."""

PART = 8 * 1024 * 1024
"""How much of a file is sent at once, in bytes. S3 takes 10,000 parts: files of up to 80 GB."""

Write = Callable[[bytes], object]

T = TypeVar("T")

_RACES = 10
"""How often a folder is made anew that others have removed."""


class Storage(Protocol):
    """Keeps files by their path, such as ``user/job/1/orders.csv``.

    Every method raises `StorageUnavailable` when the storage cannot be reached, or refuses.
    """

    def url_of(self, path: str) -> str:
        """Return the URL of a file, without any secret."""

    def writer(self, path: str, content_type: str | None) -> Any:
        """Write a file in a ``with`` block, with what it gives: a function that takes bytes.

        The file is there when the block has ended. When it raises, there is none.
        """

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file. Raises `AssetNotFound` where there is none."""

    def delete(self, path: str) -> None:
        """Delete a file, and what an interrupted writer has left of it; it may be gone already."""

    def sign(self, path: str, expires: float) -> str | None:
        """Return a URL that anybody may read the file by for so many seconds, if there can be."""


def open_storage(url: str) -> Storage:
    """Return the storage that a URL names; it connects when first used.

    Raises:
        ConfigurationError: The URL has an unknown option, or the library that it needs is missing.
    """
    scheme = urlsplit(url).scheme
    return Folder(url) if scheme == "file" else Bucket(url)


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


class Folder:
    """A folder of this machine, or one that all workers and web servers have mounted.

    Args:
        url: ``file:///srv/assets``.
    """

    def __init__(self, url: str) -> None:
        self._root = Path(unquote(urlsplit(url).path))

    def url_of(self, path: str) -> str:
        """Return the URL of a file."""
        return (self._root / path).as_uri()

    @contextmanager
    def writer(self, path: str, content_type: str | None) -> Iterator[Write]:  # noqa: ARG002 - a folder keeps none
        """Write a file; see `Storage`."""
        target, part = self._root / path, self._part_of(path)
        try:
            with self._translated():
                file = _in_its_folder(part, lambda: part.open("wb"))
            with file:

                def write(data: bytes) -> None:
                    with self._translated():
                        file.write(data)

                yield write
                with self._translated():
                    file.flush()
                    os.fsync(file.fileno())  # the row is durable; its file must be so before
            with self._translated():
                _in_its_folder(target, lambda: part.replace(target))
                _sync_folder(target.parent)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
                part.parent.rmdir()

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file; see `Storage`."""
        try:
            file = (self._root / path).open("rb")
        except FileNotFoundError:
            raise AssetNotFound(path) from None
        with file, self._translated():
            while chunk := file.read(CHUNK):
                yield chunk

    def delete(self, path: str) -> None:
        """Delete a file, and the folders that are empty without it; see `Storage`."""
        target, part = self._root / path, self._part_of(path)
        with self._translated():
            for file in (part, target):
                # A parent that is no folder: the file cannot be there either.
                with suppress(NotADirectoryError):
                    file.unlink(missing_ok=True)
        with suppress(OSError):
            part.parent.rmdir()
        for folder in target.parents:
            if folder == self._root or not folder.is_relative_to(self._root):
                break
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue  # never made, or removed by another; those around it may be empty
            except OSError:
                break  # not empty

    def sign(self, path: str, expires: float) -> None:
        """Return None: whoever may read the folder needs no URL."""

    def _part_of(self, path: str) -> Path:
        """Return where a file is while it is written: no asset can have that path."""
        target = self._root / path
        return target.parent.with_name(f"{target.parent.name}.part") / target.name

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unavailable(self._root.as_uri(), error) from error


class Bucket:
    """A bucket of an object storage, by the library fsspec.

    Args:
        url: ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``; options
            follow a ``?``, see `_OPTIONS`.

    Raises:
        ConfigurationError: An option is unknown, or the library for this storage is missing.
    """

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._scheme = split.scheme
        self._root = f"{split.netloc}{split.path}".rstrip("/")
        self._options = _options_of(split.scheme, dict(parse_qsl(split.query)))
        self._pid = 0
        self._lock = threading.Lock()
        self._fs: Any = None
        self._connected()

    def url_of(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self._scheme}://{self._root}/{path}"

    @contextmanager
    def writer(self, path: str, content_type: str | None) -> Iterator[Write]:
        """Write a file in parts, one after the other; see `Storage`."""
        fs = self._connected()
        described = _CONTENT_TYPE[self._scheme](content_type) if content_type else {}
        with self._translated():
            file = fs.open(self._key(path), "wb", block_size=PART, **described)
        try:

            def write(data: bytes) -> None:
                with self._translated():
                    file.write(data)

            yield write
            with self._translated():
                file.close()
        except BaseException:
            # Closing it would complete a half file.
            file.closed = True
            with suppress(Exception):
                file.discard()
            raise

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file; see `Storage`."""
        try:
            with self._translated():
                file = self._connected().open(self._key(path), "rb", block_size=PART)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise AssetNotFound(path) from None
            raise
        with file, self._translated():
            while chunk := file.read(CHUNK):
                yield chunk

    def delete(self, path: str) -> None:
        """Delete a file; see `Storage`."""
        fs, key = self._connected(), self._key(path)
        if self._scheme == "s3":
            with self._translated():
                _give_up_uploads(fs, key)
        with self._translated(), suppress(FileNotFoundError):
            fs.rm_file(key)

    def sign(self, path: str, expires: float) -> str | None:
        """Return a signed URL, or None where the credentials cannot sign; see `Storage`."""
        try:
            signed: str = self._connected().sign(self._key(path), expiration=int(expires))
        except (NotImplementedError, AttributeError, ValueError):
            return None
        return signed

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _connected(self) -> Any:
        """Return this process's own connections: none survives a fork."""
        with self._lock:
            if self._pid != os.getpid():
                self._fs = _file_system(self._scheme, self._options)
                self._pid = os.getpid()
            return self._fs

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except JobStateError:
            raise
        except Exception as error:
            if not _is_of_storage(error):
                raise
            raise _unavailable(f"{self._scheme}://{self._root}", error) from error


_OPTIONS = {
    "s3": ("endpoint_url", "region", "key", "secret", "token", "profile"),
    "gs": ("endpoint_url", "project", "token"),
    "az": ("account_name", "account_key", "connection_string", "sas_token"),
}
"""What may follow the ``?`` of a URL. Without them, each library finds its usual credentials."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}

_CONTENT_TYPE: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "s3": lambda value: {"ContentType": value},
    "gs": lambda value: {"content_type": value},
    "az": lambda value: {"content_settings": {"content_type": value}},
}

_THEIRS = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google"}


def _options_of(scheme: str, given: dict[str, str]) -> dict[str, Any]:
    if unknown := sorted(set(given) - set(_OPTIONS[scheme])):
        raise ConfigurationError(
            f"jobstate_storage_url has the unknown option {', '.join(unknown)}: {scheme}:// takes "
            f"{', '.join(_OPTIONS[scheme])}. Correct it."
        )
    options: dict[str, Any] = {**given, "use_listings_cache": False}
    if scheme == "s3":
        if region := options.pop("region", None):
            options["client_kwargs"] = {"region_name": region}
        # Tries of our own follow: one that hangs must not keep a sweeper for long.
        options["config_kwargs"] = {
            "connect_timeout": 2,
            "read_timeout": 20,
            "retries": {"max_attempts": 1},
        }
    return options


def _file_system(scheme: str, options: dict[str, Any]) -> Any:
    try:
        import fsspec  # noqa: PLC0415 - an optional extra

        found: Any = fsspec.filesystem(scheme, skip_instance_cache=True, **options)
    except ImportError as error:
        raise ConfigurationError(
            f"jobstate_storage_url is {scheme}://..., but {_PACKAGES[scheme]} cannot be imported "
            f"({error}). Install jobstate[storage], or {_PACKAGES[scheme]} alone."
        ) from error
    if scheme == "s3":
        found.retries = 2
    return found


def _give_up_uploads(fs: Any, key: str) -> None:
    """Free what an upload that was cut off has sent, and keep one that goes on from completing.

    The others free it by themselves after a week.
    """
    bucket, name, _ = fs.split_path(key)
    # Not every S3 knows this call, nor do all credentials allow it: a lifecycle rule does it too.
    with suppress(FileNotFoundError, NotImplementedError, PermissionError):
        found = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=name)
        for upload in found.get("Uploads", []):
            if upload["Key"] == name:
                fs.abort_mpu(bucket, name, upload["UploadId"])


def _is_of_storage(error: Exception) -> bool:
    """Tell a failure of the storage from what a signal has raised meanwhile, such as a limit."""
    return isinstance(error, OSError) or any(
        cls.__module__.partition(".")[0] in _THEIRS for cls in type(error).__mro__
    )


def _unavailable(where: str, error: Exception) -> StorageUnavailable:
    return StorageUnavailable(
        f"The storage {where} did not do what it was asked ({type(error).__name__}: {error}). "
        "Check that it can be reached, has room, and lets these credentials read and write."
    )


def _in_its_folder(file: Path, action: Callable[[], T]) -> T:
    """Do something in a folder that is made before; others may remove it while it is empty."""
    for _ in range(_RACES):
        # It may go between any two steps of mkdir, which then finds it there, and no folder.
        with suppress(FileExistsError, FileNotFoundError):
            file.parent.mkdir(parents=True, exist_ok=True)
            return action()
    file.parent.mkdir(parents=True, exist_ok=True)
    return action()


def _sync_folder(folder: Path) -> None:
    """Have the disk remember the names in a folder too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
