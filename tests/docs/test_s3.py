"""The policy of docs/how-to/s3.md allows what storing needs, and nothing that it does not need."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import urlencode

import boto3
import pytest

from jobstate import AssetNotFound, Settings, StorageUnavailable
from jobstate.storage import PART, Storage, open_storage
from tests.assets.buckets import S3, SECRETS
from tests.examples import Example

BUCKET = "my-bucket"
REGION = "eu-central-1"
NOBODY_ASKS = 1e9

MISSED = {
    "s3:PutObject": {"write", "read"},
    "s3:GetObject": {"read", "miss"},
    "s3:DeleteObject": {"delete", "delete what was cut off"},
    "s3:AbortMultipartUpload": {"clean up"},
    "s3:ListBucket": {"miss"},
    "s3:ListBucketMultipartUploads": {"clean up"},
}
"""What does not go as it should without an action."""


class Guarded(S3):
    """An S3 with the bucket of the page, which may be told to heed policies."""

    def __enter__(self) -> Self:
        """Start it."""
        super().__enter__()
        where: Any = {"LocationConstraint": REGION}
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        return self

    def heed_policies_after(self, requests: float) -> None:
        """Let so many requests pass first."""
        asked = urllib.request.Request(  # noqa: S310 - on loopback
            f"{self.endpoint}/moto-api/reset-auth",
            data=str(requests).encode(),
            headers={"Content-Type": "text/plain"},
        )
        with urllib.request.urlopen(asked):  # noqa: S310 - on loopback
            pass

    def new_user(self, policy: dict[str, Any]) -> dict[str, str]:
        """Make somebody who may do what a policy says; return the options of a storage's URL."""
        iam: Any = boto3.client(
            "iam",
            endpoint_url=self.endpoint,
            aws_access_key_id=SECRETS["key"],
            aws_secret_access_key=SECRETS["secret"],
            region_name=SECRETS["region"],
        )
        name = f"user{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="jobs", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        iam.close()
        return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}

    def uploads(self) -> list[str]:
        """Return the keys of uploads that were neither completed nor given up."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [upload["Key"] for upload in found]


@pytest.fixture(scope="module")
def server() -> Iterator[Guarded]:
    """One server for all."""
    with Guarded() as server:
        yield server


@pytest.fixture
def policy(examples: list[Example]) -> dict[str, Any]:
    """The policy of the page."""
    found: dict[str, Any] = json.loads(examples[-1].take())
    return found


Opened = Callable[[dict[str, Any], str], Storage]


@pytest.fixture
def opened(examples: list[Example], server: Guarded) -> Iterator[Opened]:
    """Open the storage of the page as somebody whose policy is heeded."""
    names: dict[str, Any] = {}
    examples[0].run(names)
    url = names["jobstate_storage_url"]
    conf = {"jobstate_database_url": "postgresql://localhost/shop", "jobstate_storage_url": url}
    assert Settings.load(conf).storage_url == url

    def open_one(policy: dict[str, Any], prefix: str) -> Storage:
        options = {"endpoint_url": server.endpoint, **server.new_user(policy)}
        key = f"{prefix}/u/j/1/cut off"
        server.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        server.heed_policies_after(0)
        return open_storage(f"{url.replace('/jobs', f'/{prefix}')}&{urlencode(options)}")

    yield open_one
    server.heed_policies_after(NOBODY_ASKS)
    server.client.delete_object(Bucket=BUCKET, Key="jobs/u/j/1/orders.csv")
    for upload in server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        server.client.abort_multipart_upload(
            Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
        )


def refused(storage: Storage, server: Guarded) -> set[str]:
    """Do all that storing does; return what did not go as it should."""
    steps: dict[str, Callable[[], object]] = {
        "write": lambda: write(storage, "u/j/1/orders.csv"),
        "read": lambda: b"".join(storage.read("u/j/1/orders.csv")),
        "miss": lambda: miss(storage, "u/j/1/never"),
        "delete": lambda: storage.delete("u/j/1/orders.csv"),
        "delete what was cut off": lambda: storage.delete("u/j/1/cut off"),
    }
    found = set()
    for name, step in steps.items():
        try:
            step()
        except (AssetNotFound, StorageUnavailable):
            found.add(name)
    server.heed_policies_after(NOBODY_ASKS)
    return found | ({"clean up"} if server.uploads() else set())


def write(storage: Storage, path: str) -> None:
    """Write a file in several parts."""
    with storage.writer(path, "text/csv") as put:
        put(b"x" * (PART + 1))


def miss(storage: Storage, path: str) -> None:
    """Hear that a file is not there."""
    with pytest.raises(AssetNotFound):
        list(storage.read(path))


@pytest.mark.examples("docs/how-to/s3.md")
def test_with_the_policy_everything_works(
    opened: Opened, policy: dict[str, Any], server: Guarded
) -> None:
    assert refused(opened(policy, "jobs"), server) == set()


@pytest.mark.examples("docs/how-to/s3.md")
def test_elsewhere_in_the_bucket_nothing_is_allowed(
    opened: Opened, policy: dict[str, Any], server: Guarded
) -> None:
    assert {"write", "read", "delete"} <= refused(opened(policy, "secrets"), server)


@pytest.mark.examples("docs/how-to/s3.md")
@pytest.mark.parametrize(("action", "missed"), MISSED.items())
def test_without_any_one_of_its_actions_something_is_refused(
    opened: Opened, policy: dict[str, Any], server: Guarded, action: str, missed: set[str]
) -> None:
    (allowing,) = (each for each in policy["Statement"] if action in each["Action"])
    allowing["Action"].remove(action)
    assert refused(opened(policy, "jobs"), server) == missed


@pytest.mark.examples("docs/how-to/s3.md", "Statement")
def test_the_policy_allows_no_other_action(policy: dict[str, Any]) -> None:
    allowed = [action for each in policy["Statement"] for action in each["Action"]]
    assert sorted(allowed) == sorted(MISSED)
