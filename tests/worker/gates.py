"""Where bodies wait for the test, and the test for bodies, without anybody sleeping."""

import json
import time
from collections.abc import Iterator
from typing import Any

import redis
from celery import Celery

PATIENCE = 60
"""How long anybody waits, in seconds, before the test has failed."""


class Gates:
    """Gates and notes; each has a name, such as the id of a job.

    They are kept in the broker's Redis, or in the one that the configuration names for them.
    """

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=PATIENCE + 5)

    @classmethod
    def of(cls, app: Celery) -> "Gates":
        """Return the gates that a body shares with its test."""
        return cls(app.conf.get("gates_url") or app.conf.broker_url)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def stop(self, name: object) -> None:
        """Say that a body has come this far, and wait until the test opens the gate."""
        self.note(f"arrived:{name}")
        self.read(f"open:{name}")

    def knocks(self, name: object) -> Iterator[None]:
        """Stand at the gate, and do something now and then until the test opens it."""
        self.note(f"arrived:{name}")
        deadline = time.monotonic() + PATIENCE
        while self._redis.blpop([f"gate:open:{name}"], timeout=0.05) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nobody has opened {name}.")
            yield

    def reached(self, name: object) -> None:
        """Wait until a body stands at the gate."""
        self.read(f"arrived:{name}")

    def open(self, name: object) -> None:
        """Let one body through."""
        self.note(f"open:{name}")

    def note(self, name: object, value: Any = None) -> None:
        """Add a note."""
        self._redis.rpush(f"gate:{name}", json.dumps(value))

    def read(self, name: object) -> Any:
        """Wait for the next note of this name, and take it away."""
        found = self._redis.blpop([f"gate:{name}"], timeout=PATIENCE)
        if found is None:
            raise TimeoutError(f"Nobody has come to {name}.")
        return json.loads(found[1])

    def notes(self, name: object) -> list[Any]:
        """Return every note of this name; they stay."""
        return [json.loads(note) for note in self._redis.lrange(f"gate:{name}", 0, -1)]
