"""The model on the command line: ``python -m tests.model --faults 3``; ``--write`` for the page."""

import argparse
import time
from collections.abc import Iterator

from tests.model.checking import check
from tests.model.traces import PAGE, page
from tests.model.world import Pool, World


def main() -> int:
    """Check every kind of job with every pool, and say how much was visited."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--faults", type=int, default=2, help="how much may go wrong (default: 2)")
    parser.add_argument("--pool", choices=[pool.name.lower() for pool in Pool])
    parser.add_argument("--write", action="store_true", help="write docs/traces.md, and end")
    asked = parser.parse_args()
    if asked.write:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    pools = [Pool[asked.pool.upper()]] if asked.pool else list(Pool)
    unsound = sum(not _is_sound(world, asked.faults) for world in _worlds(pools))
    return min(unsound, 1)


def _worlds(pools: list[Pool]) -> Iterator[World]:
    for pool in pools:
        yield World(pool=pool)
        yield World(pool=pool, keep_partial=True)
        yield World(pool=pool, idempotent=True)
        yield World(pool=pool, idempotent=True, adopted=True)


def _is_sound(world: World, faults: int) -> bool:
    began = time.monotonic()
    states, steps, found = check(world, faults)
    words = f"{world}; faults: {faults}; states: {states:,}; steps: {steps:,}"
    print(f"{words}; {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201 - a command prints
    if found is not None:
        print(f"  {found.what}: {' · '.join(found.trace)}", flush=True)  # noqa: T201
    return found is None


if __name__ == "__main__":
    raise SystemExit(main())
