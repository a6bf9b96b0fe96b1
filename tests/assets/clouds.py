"""Google Cloud Storage and Azure, as far as their emulators go: for `make test-clouds`.

Azurite is a program of npm: `npm install --global azurite`.
"""

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import fsspec

from jobstate.embedded.ports import free_port
from tests.worker.process import eventually

AZURITE = shutil.which("azurite-blob")

_ACCOUNT = "devstoreaccount1"
# The key of everybody's Azurite, from its documentation.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_GCS = """
import signal, sys
from gcp_storage_emulator.server import create_server
create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket="bucket").start()
signal.pause()
"""


@contextmanager
def gcs() -> Iterator[str]:
    """Yield the URL of an empty bucket of Google's."""
    port = free_port()
    with _running([sys.executable, "-c", _GCS, str(port)], port):
        options = {"endpoint_url": f"http://127.0.0.1:{port}", "token": "anon", "project": "p"}
        yield f"gs://bucket?{urlencode(options)}"


@contextmanager
def azure() -> Iterator[str]:
    """Yield the URL of an empty container of Azure's."""
    assert AZURITE is not None
    port = free_port()
    command = [AZURITE, "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    command += ["--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with _running(command, port):
        endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{_ACCOUNT}"
        secrets = f"AccountName={_ACCOUNT};AccountKey={_KEY}"
        options = {"connection_string": f"DefaultEndpointsProtocol=http;{secrets};{endpoint};"}
        fsspec.filesystem("az", **options).mkdir("bucket")
        yield f"az://bucket?{urlencode(options)}"


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return True  # It refuses what it was asked, and so it is there.
        except OSError:
            assert process.poll() is None, f"{command[0]} has ended"
            return False
        return True

    try:
        eventually(answers, f"the server {command[0]}")
        yield
    finally:
        process.kill()
        process.wait()
