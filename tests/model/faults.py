"""What may go wrong, and what a body may ask for; each costs one of the faults that are left."""

from collections.abc import Callable, Iterator

from tests.model.state import (
    LIVE,
    Fate,
    HandedOver,
    Lease,
    Main,
    Phase,
    Process,
    State,
    Step,
    is_accepted,
)
from tests.model.world import Pool, World

Steps = Iterator[Step]


def duplicate(_world: World, state: State) -> Steps:
    """The broker has a message twice."""
    for message in dict.fromkeys(state.broker):
        yield _fault(f"ticket {message.ticket} is duplicated", state.with_message(message))


def flush(_world: World, state: State) -> Steps:
    """The broker loses all it has."""
    if state.broker:
        yield _fault("the broker loses everything", state._replace(broker=()))


def redeliver(world: World, state: State) -> Steps:
    """A late-acking message that is being worked on comes again."""
    if world.idempotent:
        for message in {p.message: None for p in state.processes if p.message is not None}:
            words = f"ticket {message.ticket} is redelivered"
            yield _fault(words, state.with_message(message))


def retry(world: World, state: State) -> Steps:
    """A body asks for a retry, or is replaced by one task."""
    for index, process in _busy(world, state):
        if process.phase is Phase.BODY:
            first = Phase.RELEASE if world.rules.row_first else Phase.PUBLISH
            asked = process._replace(phase=first, call=process.message.call + 1)
            words = f"{world.name(index)}'s body asks for a retry"
            yield _fault(words, state.with_process(index, asked))


def replace(world: World, state: State) -> Steps:
    """A body is replaced by other tasks, the last of which goes on with the job."""
    for index, process in _busy(world, state):
        if process.phase is Phase.BODY:
            asked = process._replace(phase=Phase.DELEGATE, call=process.message.call + 1)
            words = f"{world.name(index)}'s body is replaced by other tasks"
            yield _fault(words, state.with_process(index, asked))


def submit_again(world: World, state: State) -> Steps:
    """Whoever dispatched the job does so again; without the rule, it looks like the last task."""
    if not world.rules.heir_ticket and state.job.delegated:
        row = state.job._replace(delegated=False, call=0)
        yield _fault("the job is dispatched once more", state._replace(job=row))


def requeue(world: World, state: State) -> Steps:
    """A body rejects its message, to have it again; without the rule, only Celery hears of it."""
    for index, process in _busy(world, state):
        if process.phase is Phase.BODY:
            call = process.message.call + (0 if world.idempotent else 1)
            asked = Process(process.pid, Phase.RELEASE, None, process.attempt, None, call)
            if not world.rules.row_first:
                asked = process.ready()
            after = state.with_process(index, asked)
            if world.idempotent:
                after = after.with_message(process.message)
            yield _fault(f"{world.name(index)}'s body rejects its message", after)


def kill(world: World, state: State) -> Steps:
    """A pool process dies. Late-acking, its message goes back; early-acking, it is gone."""
    if world.pool is Pool.THREADS:
        return
    for index, process in _busy(world, state):
        after = _without_process(world, state, index, Fate.LOST)
        words = f"{world.name(index)} is killed"
        if world.pool is Pool.WORKERS:
            words = f"{world.name(index)}'s process is killed"
        if not world.idempotent:
            words, after = _celery_fails(world, words, after)
        elif process.message is not None:
            after = after.with_message(process.message)
        yield _fault(words, after)


def time_limit(world: World, state: State) -> Steps:
    """A pool process is ended by its hard time limit; its message is gone."""
    if world.pool is Pool.THREADS:
        return
    for index, _ in _busy(world, state):
        after = _without_process(world, state, index, Fate.ENDED)
        words = f"{world.name(index)} reaches its hard time limit"
        yield _fault(*_celery_fails(world, words, after))


def revoke(world: World, state: State) -> Steps:
    """A message is revoked before its start."""
    for index, process in _busy(world, state):
        if process.phase is Phase.TAKE:
            place = world.worker_of(index)
            heard = HandedOver(Fate.UNSTARTED, (process.message.ticket,))
            after = _hand_over(state, place, heard).with_process(index, process.ready())
            yield _fault(f"{world.name(index)}'s message is revoked", after)


def kill_worker(world: World, state: State) -> Steps:
    """A worker dies with its pool; late-acking messages come back in the end."""
    for place in {world.worker_of(index): None for index, _ in _busy(world, state)}:
        gone = state.workers[place]._replace(main=Main.GONE, handed_over=())
        after = state.with_worker(place, gone)
        for index, process in enumerate(state.processes):
            if world.worker_of(index) == place:
                after = after.with_process(index, process.ready())
                if world.idempotent and process.message is not None:
                    after = after.with_message(process.message)
        yield _fault(f"{world.worker_name(place)} dies", after)


def pause(world: World, state: State) -> Steps:
    """A worker is paused, or cut off from everything."""
    for place in {world.worker_of(index): None for index, _ in _busy(world, state)}:
        paused = state.with_worker(place, state.workers[place]._replace(main=Main.PAUSED))
        yield _fault(f"{world.worker_name(place)} is paused", paused)


def outage(_world: World, state: State) -> Steps:
    """The database is away for longer than a lease."""
    if state.job.holder is not None:
        workers = tuple(
            worker._replace(lease=Lease.MISSED) if worker.lease is Lease.ALIVE else worker
            for worker in state.workers
        )
        yield _fault("the database is away for a while", state._replace(workers=workers))


def cancel(world: World, state: State) -> Steps:
    """The owner cancels the job; a deadline that passes is the same without telling the body."""
    if is_accepted(world, state) and state.job.status in LIVE and not state.job.must_end:
        yield _fault("the job is cancelled", state._replace(job=state.job._replace(must_end=True)))


def _fault(words: str, state: State) -> Step:
    return Step(words, state._replace(faults=state.faults - 1), owed=False)


def _busy(world: World, state: State) -> list[tuple[int, Process]]:
    """List the processes that have a delivery in hand, where their worker is up."""
    return [
        (index, process)
        for index, process in enumerate(state.processes)
        if process.phase is not Phase.IDLE and state.workers[world.worker_of(index)].main is Main.UP
    ]


def _without_process(world: World, state: State, index: int, fate: Fate) -> State:
    """End a process; its worker starts another, and its keeper hears of it."""
    place, pid = world.worker_of(index), state.processes[index].pid
    here = [p for n, p in enumerate(state.processes) if world.worker_of(n) == place]
    named = (pid,)
    if fate is Fate.ENDED and not world.rules.own_process:
        named = tuple(sorted(p.pid for p in here if p.phase is not Phase.IDLE))
    known = {p.pid for p in here} | {
        n for event in state.workers[place].handed_over for n in event[1]
    }
    if state.job.holder is not None:
        known.add(state.job.holder.pid)
    fresh = next(number for number in range(len(known) + 1) if number not in known)
    return _hand_over(state, place, HandedOver(fate, named)).with_process(index, Process(fresh))


def _hand_over(state: State, place: int, event: HandedOver) -> State:
    worker = state.workers[place]
    return state.with_worker(place, worker._replace(handed_over=(*worker.handed_over, event)))


def _celery_fails(world: World, words: str, state: State) -> tuple[str, State]:
    """Without the rule, Celery dispatches the errback of a process it lost, whoever has the job."""
    if world.rules.errbacks_wait:
        return words, state
    most = 1 if world.rules.frozen_ids else 2
    told = state._replace(errbacks=min(state.errbacks + 1, most))
    return f"{words}, and Celery dispatches the errback", told


FAULTS: tuple[Callable[[World, State], Steps], ...] = (
    duplicate,
    flush,
    redeliver,
    retry,
    replace,
    submit_again,
    requeue,
    kill,
    time_limit,
    revoke,
    kill_worker,
    pause,
    outage,
    cancel,
)
"""All of them, but for the answers that are lost: those are part of the writes."""
