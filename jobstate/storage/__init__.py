"""Where the files of assets are: a folder, or a bucket of S3, Google Cloud Storage or Azure."""

from urllib.parse import urlsplit

from jobstate.storage.base import CHUNK, PART, Storage, required
from jobstate.storage.bucket import Bucket
from jobstate.storage.folder import Folder

__all__ = ["CHUNK", "PART", "Bucket", "Folder", "Storage", "open_storage", "required"]


def open_storage(url: str) -> Storage:
    """Return the storage that a URL names; it connects when first used.

    Raises:
        ConfigurationError: The URL has an unknown option, or the library that it needs is missing.
    """
    scheme = urlsplit(url).scheme
    return Folder(url) if scheme == "file" else Bucket(url)
