"""How an app is told to fill its queue: a line for each time, on its standard input."""

import sys
from collections.abc import Callable


def serve(fill: Callable[[str, int], None]) -> None:
    """Say that the app is there; then fill the queue as each line says, and answer with one.

    Args:
        fill: Enqueues so many jobs of a task, and ends its sessions, which then tell what they did.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        task, number = line.split()
        fill(task, int(number))
        print("filled", flush=True)
