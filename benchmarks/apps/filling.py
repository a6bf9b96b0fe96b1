"""How an app is told to fill its queue: a line for each time, on its standard input."""

import sys
import time
from collections.abc import Callable


def serve(fill: Callable[[str, int], None]) -> None:
    """Say that the app is there; fill the queue as each line says, and answer with the seconds.

    Args:
        fill: Enqueues so many jobs of a task, and ends its sessions, which then tell what they did.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        task, number = line.split()
        began = time.perf_counter()
        fill(task, int(number))
        print(time.perf_counter() - began, flush=True)
