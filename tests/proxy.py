"""A link that tests can cut: a TCP proxy in threads of the test's own process."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536


class Proxy:
    """Stands between a worker and one of its servers, until the ``with`` block ends.

    Args:
        url: The URL of the server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}", 1)
        self._open: set[socket.socket] = set()
        self._cut = False
        self._flowing = threading.Event()
        self._flowing.set()

    def __enter__(self) -> Self:
        """Let connections through."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all of them."""
        self._listener.close()
        self.thaw()
        self.cut()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._cut = True
        for link in list(self._open):
            _close(link)

    def freeze(self) -> None:
        """Let nothing through; both ends wait."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let through what has waited, and all that follows."""
        self._flowing.set()

    def mend(self) -> None:
        """Accept connections again."""
        self._cut = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._cut:
                    _close(client)
                    continue
                server = socket.create_connection(self._server)
                for source, target in ((client, server), (server, client)):
                    self._open.add(source)
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                target.sendall(data)
        for link in (source, target):
            self._open.discard(link)
            _close(link)


def _close(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()
