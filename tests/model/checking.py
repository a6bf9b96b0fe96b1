"""The protocol as a search sees it: all that can happen next, and which states are the same."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.model import faults as fault_kinds
from tests.model.keeping import BY_ANYONE, BY_QUIET_WORKER, BY_WORKER
from tests.model.promises import BREACHES, Breach, is_kept, lacks
from tests.model.protocol import BY_PHASE
from tests.model.search import Explored, explore
from tests.model.state import Lease, Main, State, Step, initial
from tests.model.world import Pool, World

Fault = Callable[[World, State], Iterator[Step]]


def check(
    world: World,
    faults: int,
    kinds: Sequence[Fault] = fault_kinds.FAULTS,
    breaches: Mapping[str, Breach] = BREACHES,
) -> Explored:
    """Visit every state that a job can reach with so many faults of these kinds."""

    def broken(before: State, step: Step) -> str | None:
        for words, breaks in breaches.items():
            if breaks(world, before, step):
                return words
        return None

    def steps(state: State) -> Iterator[Step]:
        return _steps(world, kinds, state)

    return explore(
        initial(world, faults),
        steps,
        broken=broken,
        is_good=lambda state: is_kept(world, state),
        lacks=lacks,
        key=_KEYS[world.pool],
    )


def _steps(world: World, kinds: Sequence[Fault], state: State) -> Iterator[Step]:
    """Yield what can happen next."""
    for index, process in enumerate(state.processes):
        if state.workers[world.worker_of(index)].main is Main.UP:
            for act in BY_PHASE[process.phase]:
                yield from act(world, state, index)
    for index, worker in enumerate(state.workers):
        quiet = worker.main is Main.UP and worker.lease is Lease.ALIVE and not worker.handed_over
        for happen in BY_QUIET_WORKER if quiet else BY_WORKER:
            yield from happen(world, state, index)
    for do in BY_ANYONE:
        yield from do(world, state)
    if state.faults:
        for kind in kinds:
            yield from kind(world, state)


def _key_of_workers(state: State) -> int:
    """Hash a state so that the worker's names make no difference."""
    job, workers, processes, broker, callbacks, errbacks, members, seen, faults = state
    sides = [hash((workers[0], processes[0])), hash((workers[1], processes[1]))]
    if job.holder is not None:
        who = job.holder.worker
        sides[who] = hash((sides[who], job.holder[1:], seen == job.holder))
        job = job._replace(holder=None)
    elif seen is not None:
        sides[seen.worker] = hash((sides[seen.worker], seen[1:]))
    sides.sort()
    return hash((job, *sides, broker, callbacks, errbacks, members, seen is None, faults))


def _key_of_processes(state: State) -> int:
    """Hash a state so that the order of the processes makes no difference."""
    one, two = map(hash, state.processes)
    return hash((state.job, state.workers, min(one, two), max(one, two), state[3:]))


_KEYS = {
    Pool.WORKERS: _key_of_workers,
    Pool.PROCESSES: _key_of_processes,
    Pool.THREADS: _key_of_processes,
}
