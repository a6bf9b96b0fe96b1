"""Runs the one question of a process's viewers, in an event loop or in a thread."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from contextvars import Context
from queue import Empty, SimpleQueue
from weakref import WeakKeyDictionary

from jobstate.aio import AsyncJobService
from jobstate.counters import VIEWER_QUERIES
from jobstate.service import JobService
from jobstate.store import AsyncStore, Store
from jobstate.waiting import backoff
from jobstate.web.exchange import Stream
from jobstate.web.sse import KEEP_ALIVE, Feed
from jobstate.web.watch import Viewer, Watch

INTERVAL = 0.5
"""How often the database is asked, in seconds."""

logger = logging.getLogger("jobstate")


_in_threads: WeakKeyDictionary[JobService, dict[float, "ThreadWatcher"]] = WeakKeyDictionary()
_in_loops: WeakKeyDictionary[AsyncJobService, dict[float, "LoopWatchers"]] = WeakKeyDictionary()


def thread_watcher(service: JobService, interval: float = INTERVAL) -> "ThreadWatcher":
    """Return the one watcher of a service for viewers in threads."""
    watchers = _in_threads.setdefault(service, {})
    return watchers.setdefault(interval, ThreadWatcher(service.store, interval))


def loop_watchers(service: AsyncJobService, interval: float = INTERVAL) -> "LoopWatchers":
    """Return the one watcher of a service for viewers in an event loop."""
    watchers = _in_loops.setdefault(service, {})
    return watchers.setdefault(interval, LoopWatchers(service.store, interval))


class LoopWatcher:
    """Watches jobs for the viewers of one event loop, for as long as there are any."""

    def __init__(self, store: AsyncStore, interval: float) -> None:
        self._store = store
        self._interval = interval
        self._watch = Watch()
        self._task: asyncio.Task[None] | None = None

    async def events(self, stream: Stream) -> AsyncGenerator[str]:
        """Yield what a client of a stream is sent, until the stream is over."""
        told = asyncio.Event()
        viewer = Viewer(told.set)
        feed = Feed(stream, viewer, self._watch)
        try:
            yield feed.begin()
            while not feed.is_over:
                self._start()
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        await told.wait()
                except TimeoutError:
                    yield feed.keep_alive()
                    continue
                told.clear()
                if text := feed.go_on():
                    yield text
        finally:
            self._watch.leave(viewer)
            stream.leave()

    def _start(self) -> None:
        if self._task is None:
            # Of no request: it outlives the one that it begins in.
            self._task = asyncio.create_task(self._run(), context=Context())

    async def _run(self) -> None:
        pace = _Pace(self._interval)
        try:
            while not self._watch.is_empty:
                await asyncio.sleep(pace.pause)
                if is_ending():
                    self._watch.send_all_away()
                    return
                try:
                    self._watch.answer(await self._store.run(self._watch.question()))
                except Exception as error:  # noqa: BLE001 - the viewers stay, whatever it is
                    pace.failed(error)
                else:
                    pace.worked()
        finally:
            self._task = None  # which would keep its loop


class LoopWatchers:
    """One `LoopWatcher` for each event loop; a web server has one."""

    def __init__(self, store: AsyncStore, interval: float) -> None:
        self._store = store
        self._interval = interval
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWatcher]
        self._watchers = WeakKeyDictionary()

    async def events(self, stream: Stream) -> AsyncGenerator[str]:
        """Yield what a client of a stream is sent; see `LoopWatcher`."""
        loop = asyncio.get_running_loop()
        if loop not in self._watchers:
            self._watchers[loop] = LoopWatcher(self._store, self._interval)
        async with aclosing(self._watchers[loop].events(stream)) as texts:
            async for text in texts:
                yield text


class ThreadWatcher:
    """Watches jobs for viewers that have a thread each, for as long as there are any."""

    def __init__(self, store: Store, interval: float) -> None:
        self._store = store
        self._interval = interval
        self._watch = Watch()
        self._lock = threading.Lock()
        self._gone: SimpleQueue[Viewer] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def events(self, stream: Stream) -> Iterator[str]:
        """Yield what a client of a stream is sent, until the stream is over."""
        told = threading.Event()
        viewer = Viewer(told.set)
        feed = Feed(stream, viewer, self._watch)
        try:
            with self._lock:
                self._forget_gone()
                text = feed.begin()
            yield text
            while not feed.is_over:
                with self._lock:
                    self._start()
                is_news = told.wait(KEEP_ALIVE)
                told.clear()
                with self._lock:
                    # What it was told between the two lines above woke nobody.
                    text = feed.go_on() or ("" if is_news else feed.keep_alive())
                if text:
                    yield text
        finally:
            # Without waiting for the lock: the collector may end this in a thread that holds it.
            self._gone.put(viewer)
            stream.leave()
            if self._lock.acquire(blocking=False):
                try:
                    self._forget_gone()
                finally:
                    self._lock.release()

    def _forget_gone(self) -> None:
        with suppress(Empty):
            while True:
                self._watch.leave(self._gone.get_nowait())

    def _start(self) -> None:
        # A thread does not survive a fork.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="jobstate-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        pace, pause = _Pace(self._interval), threading.Event()
        while True:
            pause.wait(pace.pause)
            with self._lock:
                self._forget_gone()
                if self._watch.is_empty:
                    self._thread = None
                    return
                if is_ending():
                    self._watch.send_all_away()
                question = self._watch.question()
            try:
                read = self._store.run(question)
            except Exception as error:  # noqa: BLE001 - the viewers stay, whatever it is
                pace.failed(error)
            else:
                pace.worked()
                with self._lock:
                    self._watch.answer(read)


class _Pace:
    """When to ask again: at a steady pace, and more and more rarely while the database is away."""

    def __init__(self, interval: float) -> None:
        self.pause = interval
        self._interval = interval
        self._pauses = backoff(interval)
        self._is_down = False

    def worked(self) -> None:
        """Note an answer."""
        VIEWER_QUERIES.add("answered")
        self.pause = self._interval
        if self._is_down:
            logger.info("The viewers of jobs are told again what happens.")
        self._is_down = False

    def failed(self, error: Exception) -> None:
        """Note that there was none."""
        VIEWER_QUERIES.add("failed")
        if not self._is_down:
            self._pauses = backoff(self._interval)
            logger.warning("The viewers of jobs must wait: %s", error)
        self._is_down = True
        self.pause = next(self._pauses)


def is_ending() -> bool:
    """Tell whether the web server was asked to end, which waits for all streams to end.

    uvicorn and gunicorn handle SIGTERM by a method, and note it in its object.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True or getattr(server, "alive", True) is False
