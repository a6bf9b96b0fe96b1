"""How many streams each user has open in a process, so that nobody takes them all.

A request that waits for a landing counts like a stream: it has a thread for itself, too.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from weakref import WeakKeyDictionary

from jobstate.errors import JobStateError

MAX_STREAMS = 20
"""How many streams a user may have open in one process.

By HTTP/1.1 a browser opens at most six per host, so that three browsers have all they can; by
HTTP/2, it is twenty tabs. A server with a thread for each stream and a hundred threads still has
some for others when four users open all they may.
"""

_places: WeakKeyDictionary[object, "Places"] = WeakKeyDictionary()


def places_of(service: object) -> "Places":
    """Return the places of whoever reads the jobs of a service, by whichever route."""
    return _places.setdefault(service, Places())


class TooManyStreams(JobStateError):  # noqa: N818 - the same form as JobNotFound
    """The caller has all the streams open that one user may have."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"You have {most} streams of jobs open, and one user may have no more here. Close one, "
            "such as a page that shows jobs, or read the jobs without a stream or wait=."
        )


class Places:
    """The places that are taken: each user has so many."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, set[object]] = defaultdict(set)
        # The collector may give a place back in a thread that holds the lock: it only queues it.
        self._left: SimpleQueue[tuple[str, object]] = SimpleQueue()
        self._lock = Lock()

    def take(self, user: str, most: int) -> Callable[[], None]:
        """Take a place; return what gives it back, however often that is called.

        Raises:
            TooManyStreams: The user has `most` of them.
        """
        place = object()
        with self._lock:
            self._forget_left()
            if len(self._taken.get(user, ())) >= most:
                raise TooManyStreams(most)
            self._taken[user].add(place)
        return partial(self._left.put, (user, place))

    def _forget_left(self) -> None:
        with suppress(Empty):
            while True:
                user, place = self._left.get_nowait()
                self._taken[user].discard(place)
                if not self._taken[user]:
                    del self._taken[user]
