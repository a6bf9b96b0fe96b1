"""Files in a bucket. The only place that imports fsspec."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakValueDictionary

from jobstate.errors import AssetNotFound, ConfigurationError, JobStateError, StorageUnavailable
from jobstate.storage.base import PART, Write, chunks, unavailable


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
        self._connection: tuple[int, Any] = 0, None
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

    def read(
        self, path: str, start: int = 0, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the content of a file; see `Storage`."""
        try:
            with self._translated():
                file = self._connected().open(self._key(path), "rb", block_size=PART)
        except StorageUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise AssetNotFound(path) from None
            raise
        with file, self._translated():
            yield from chunks(file, start, end)

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
            with self._translated():
                signed: str = self._connected().sign(self._key(path), expiration=int(expires))
        except _CANNOT_SIGN:
            return None
        except StorageUnavailable as error:
            if isinstance(error.__cause__, Exception) and _is_of(error.__cause__, {"google"}):
                return None
            raise
        return signed

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _connected(self) -> Any:
        """Return this process's own connections: none survives a fork.

        Without a lock, which a fork would copy locked: threads that come first at once open one
        each, and the last is kept.
        """
        pid, fs = self._connection
        if pid != os.getpid():
            fs = _file_system(self._scheme, self._options)
            self._connection = os.getpid(), fs
        return fs

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except JobStateError:
            raise
        except Exception as error:
            if not _is_of_storage(error):
                raise
            raise unavailable(f"{self._scheme}://{self._root}", error) from error


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

_CANNOT_SIGN = (AttributeError, NotImplementedError, ValueError)

_opened: WeakValueDictionary[int, Any] = WeakValueDictionary()

_inherited: list[Any] = []
"""The parent's connections, kept for ever in a forked process.

Collected as garbage, each would wait a second for an event loop that runs in the parent alone, and
take the parent's sockets out of what that loop, by a descriptor both share, waits for.
"""

os.register_at_fork(after_in_child=lambda: _inherited.extend(_opened.values()))


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
    _opened[id(found)] = found
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
    return isinstance(error, OSError) or _is_of(error, _THEIRS)


def _is_of(error: Exception, packages: set[str]) -> bool:
    return any(cls.__module__.partition(".")[0] in packages for cls in type(error).__mro__)
