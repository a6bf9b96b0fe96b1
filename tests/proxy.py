"""A link that fails when it is told to: a TCP proxy between a worker and one of its servers."""

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from enum import Enum, auto
from typing import Self
from urllib.parse import urlsplit


class Link(Enum):
    """What becomes of connections."""

    UP = auto()
    CUT = auto()
    """Reset, and refused."""
    BLACK_HOLE = auto()
    """Accepted; what is sent is acknowledged by this side's kernel, and goes nowhere."""
    FROZEN = auto()
    """What is sent waits until the link is up, and arrives then."""


class Proxy:
    """Forwards to the server of a URL; each method returns when what it says holds.

    A connection that was in a black hole stays in it after `heal`, and the server does not hear of
    its end: so it is where a router has lost its memory.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._link = Link.UP
        self._pause = 0.0
        self._passing: int | None = None
        self._trap: tuple[bytes, Link] | None = None
        self._lost = threading.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[Connection] = set()
        self.accepted = 0
        """How many connections were opened so far."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        listening = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._listener = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        port = self._listener.sockets[0].getsockname()[1]
        account = "".join(self._parts.netloc.rpartition("@")[:2])
        self.url = self._parts._replace(netloc=f"{account}127.0.0.1:{port}").geturl()
        return self

    def __exit__(self, *_: object) -> None:
        """Reset what is left."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def go_down(self, how: Link) -> None:
        """Fail like this, on old connections and on new ones."""
        self._tell(lambda: self._become(how))

    def cut_after(self, size: int) -> None:
        """Let so many more bytes of the server's answers pass, then cut the link."""
        self._lost.clear()
        self._tell(lambda: setattr(self, "_passing", size))

    def lose_the_answer(self, to: bytes, by: Link) -> None:
        """Let the link go down when the server answers to a statement that contains `to`."""
        self._lost.clear()
        self._tell(lambda: setattr(self, "_trap", (to, by)))

    def has_lost_it(self) -> None:
        """Wait until that answer, or what `cut_after` does not let pass, is lost."""
        assert self._lost.wait(90), "nothing was lost"

    def delay(self, pause: float) -> None:
        """Hold everything back for so many seconds."""
        self._tell(lambda: setattr(self, "_pause", pause))

    def heal(self) -> None:
        """Forward again, at once."""
        self._tell(lambda: self._become(Link.UP))

    def _tell(self, do: Callable[[], object]) -> None:
        # The loop's thread alone touches what the connections look at.
        async def done() -> None:
            do()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()

    def _become(self, link: Link) -> None:
        self._link, self._pause = link, 0.0
        if link is Link.FROZEN:
            self._flowing.clear()
        else:
            self._flowing.set()
        self._passing = self._trap = None
        for connection in list(self._open):
            if link is Link.CUT:
                connection.reset()
            connection.swallowing |= link is Link.BLACK_HOLE

    async def _accept(self, client: StreamReader, to_client: StreamWriter) -> None:
        self.accepted += 1
        connection = Connection(to_client)
        self._open.add(connection)
        connection.swallowing = self._link is Link.BLACK_HOLE
        if self._link is Link.CUT:
            connection.reset()
            return
        if not connection.swallowing:
            host, port = self._parts.hostname, self._parts.port
            try:
                server, connection.to_server = await asyncio.open_connection(host, port)
            except OSError:  # The server is down: so is the link.
                connection.reset()
                return
            connection.answers = asyncio.create_task(self._answer(server, connection))
        while data := await _read(client):
            await self._wait()
            if not connection.swallowing and connection.to_server is not None:
                if self._trap is not None and self._trap[0] in data:
                    connection.trap, self._trap = self._trap[1], None
                connection.to_server.write(data)
        if not connection.swallowing:
            connection.reset()
            self._open.discard(connection)

    async def _answer(self, server: StreamReader, connection: "Connection") -> None:
        while data := await _read(server):
            await self._wait()
            if connection.trap is not None:
                by, connection.trap = connection.trap, None
                self._lose(by)
            elif self._passing is not None:
                connection.to_client.write(data[: self._passing])
                self._passing -= len(data)
                if self._passing < 0:
                    self._lose(Link.CUT)
            elif not connection.swallowing:
                connection.to_client.write(data)
        connection.reset()

    async def _wait(self) -> None:
        await asyncio.sleep(self._pause)
        await self._flowing.wait()

    def _lose(self, link: Link) -> None:
        self._become(link)
        self._lost.set()

    async def _end(self) -> None:
        self._listener.close()
        self._become(Link.CUT)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


class Connection:
    """One client, and its connection to the server where it has one."""

    def __init__(self, to_client: StreamWriter) -> None:
        self.to_client = to_client
        self.to_server: StreamWriter | None = None
        self.answers: asyncio.Task[None] | None = None
        self.swallowing = False
        self.trap: Link | None = None

    def reset(self) -> None:
        """End both sides, without the politeness of a close."""
        for writer in (self.to_client, self.to_server):
            if writer is not None and not writer.is_closing():
                link = writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()


async def _read(reader: StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except OSError:
        return b""
