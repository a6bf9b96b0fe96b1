"""Reads Server-Sent Events like a browser does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Event:
    """One event of a stream."""

    name: str
    position: str
    data: Any


@dataclass
class Events:
    """A stream that is open: an iterator of its events."""

    answer: httpx.Response
    position: str = ""
    comments: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to read."""
        self._lines = self.answer.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        """Yield the events."""
        name, data = "message", list[str]()
        for line in self._lines:
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match key:
                case "" if line:
                    self.comments.append(value)
                case "id":
                    self.position = value
                case "event":
                    name = value
                case "data":
                    data.append(value)
                case "":
                    if data:
                        yield Event(name, self.position, json.loads("\n".join(data)))
                    name, data = "message", []


@contextmanager
def opened(client: httpx.Client, path: str, position: str | None = None) -> Iterator[Events]:
    """Open a stream, from where an earlier one broke off."""
    headers = {} if position is None else {"Last-Event-ID": position}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        yield Events(answer)
