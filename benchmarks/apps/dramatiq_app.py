"""Dramatiq on Redis: no results are kept."""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_BROKER"]))


@dramatiq.actor(queue_name="bench")
def nothing(number: int) -> None:
    """Do nothing."""


if __name__ == "__main__":
    for index in range(int(sys.argv[2])):
        nothing.send(index)
