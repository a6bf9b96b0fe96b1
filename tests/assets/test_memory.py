"""A file of any size is stored and read in the same memory."""

import subprocess
import sys

from tests.worker.process import ROOT

MB = 1024 * 1024

PROGRAM = """
import sys, resource
from uuid import uuid4
from jobstate.assets import AssetSaver, Content
from jobstate.storage import open_storage

class Rows:
    def begin(self, new): return True
    def go_on(self): pass
    def finish(self, new, content): return new, content
    def drop(self, new): pass

class Stream:
    def __init__(self, size): self.left = size
    def seekable(self): return False
    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return bytes([self.left % 251]) * size

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

url, size = sys.argv[1], int(sys.argv[2])
storage = open_storage(url)
saver = AssetSaver(storage, Rows(), uuid4().hex, 3600)

def store_and_read(size):
    new, content = saver.save("bin", Stream(size), f"{size}.bin", None)
    read = sum(map(len, storage.read(new.storage_path)))
    assert content.size == read == size

store_and_read(20 * 1024 * 1024)
before = peak()
store_and_read(size)
print(peak() - before)
"""


def test_a_hundred_megabytes_need_no_more_memory_than_twenty(storage_url: str) -> None:
    grown = subprocess.run(
        [sys.executable, "-c", PROGRAM, storage_url, str(120 * MB)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert int(grown) < 40, f"{grown} MB more"
