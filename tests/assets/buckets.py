"""An S3 of this run's own: moto's server on loopback."""

import subprocess
import sys
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from jobstate.embedded.ports import free_port
from tests.worker.process import eventually

SECRETS = {"key": "test", "secret": "test", "region": "us-east-1"}


class S3:
    """A server that starts empty, and ends with the ``with`` block."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=SECRETS["key"],
            aws_secret_access_key=SECRETS["secret"],
            region_name=SECRETS["region"],
            config=Config(retries={"max_attempts": 0}),
        )

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start it, with an empty bucket."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.stop()
        self.client.close()

    def start(self) -> None:
        """Start it, on the same port each time."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._has_bucket, "the S3 server")

    def stop(self) -> None:
        """End it, and forget what was in it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def url(self, prefix: str) -> str:
        """Return the storage URL of a folder in the bucket."""
        return f"s3://bucket/{prefix}?{urlencode({'endpoint_url': self.endpoint, **SECRETS})}"

    def files(self, prefix: str = "") -> dict[str, bytes]:
        """Return what is in a folder of the bucket."""
        found = self.client.list_objects_v2(Bucket="bucket", Prefix=prefix).get("Contents", [])
        return {
            each["Key"].removeprefix(prefix): self.client.get_object(
                Bucket="bucket", Key=each["Key"]
            )["Body"].read()
            for each in found
        }

    def content_type(self, key: str) -> str:
        """Return the media type of a file."""
        return str(self.client.head_object(Bucket="bucket", Key=key)["ContentType"])

    def unfinished(self, prefix: str = "") -> int:
        """Count uploads that were neither completed nor given up."""
        found = self.client.list_multipart_uploads(Bucket="bucket", Prefix=prefix)
        return len(found.get("Uploads", []))

    def _has_bucket(self) -> bool:
        try:
            self.client.create_bucket(Bucket="bucket")
        except BotoCoreError:
            return False
        return True
