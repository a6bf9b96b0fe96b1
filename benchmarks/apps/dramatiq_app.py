"""Dramatiq on Redis: no results are kept."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from filling import serve

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_BROKER"]))


@dramatiq.actor(queue_name="bench")
def nothing(number: int) -> None:
    """Do nothing."""


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    for index in range(number):
        nothing.send(index)


if __name__ == "__main__":
    serve(fill)
