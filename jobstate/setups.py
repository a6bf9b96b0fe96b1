"""What the processes of an app run with, as far as it decides whether jobs are safe."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

CONSUMER_TIMEOUT = 1800.0
"""The consumer timeout of RabbitMQ where nothing is set, in seconds. A client is not told it: of a
server that has another one, only whoever runs it knows."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A worker's, as it noted it in its row, or an app's. Durations are in seconds."""

    broker: str
    """Where the broker is, without credentials."""

    transport: str
    """kombu's name for the kind of broker."""

    visibility_timeout: float | None
    """After how long the broker delivers again what nobody has acknowledged; None: never."""

    consumer_timeout: float | None
    """After how long RabbitMQ closes the channel of a consumer that has not acknowledged."""

    socket_timeout: float | None
    socket_connect_timeout: float | None
    broker_heartbeat: float | None
    result_backend: str
    """The kind of result backend; empty: none."""

    result_timeout: float | None
    """How long a result backend that does not answer can hold a task up; None: for ever."""

    ignore_result: bool
    track_started: bool
    acks_late: bool
    """Whether tasks acknowledge late that do not say so themselves."""

    retry_on_worker_lost: bool
    cancels_on_connection_loss: bool
    prepare_threshold: int | None
    clock: float
    """The time of this machine when this was noted, in seconds since 1970."""

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self | None:
        """Read it as it was stored; None: another release has stored it."""
        names = {field.name for field in fields(cls)}
        if not names <= stored.keys():
            return None
        return cls(**{name: stored[name] for name in names})


@dataclass(frozen=True, kw_only=True)
class TaskSetup:
    """A JobTask's. Durations are in seconds."""

    name: str
    late: bool
    """Whether it acknowledges late: it declares that it may run again."""

    soft_limit: float | None
    hard_limit: float | None
    ignores_result: bool
