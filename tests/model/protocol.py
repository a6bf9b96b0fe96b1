"""What a process does with a delivery: takes, runs the body, lands or releases, dispatches.

Each step is one guarded write, or one thing told to the broker; between any two of them anything
else may happen. What a rule forbids is done when the rule is switched off.
"""

from collections.abc import Callable, Iterator

from jobstate.states import JobStatus
from tests.model.releasing import delegate, hand_on, publish_retry, release
from tests.model.state import (
    LIVE,
    RUNNING,
    Holder,
    Job,
    Lease,
    Phase,
    Process,
    State,
    Step,
    moved,
)
from tests.model.world import World
from tests.model.writes import accepts, call_name, unanswered

Steps = Iterator[Step]


def receive(world: World, state: State, index: int) -> Steps:
    """The broker delivers a message; to an early-acking task, it then forgets it."""
    process, worker = state.processes[index], state.workers[world.worker_of(index)]
    for message in dict.fromkeys(state.broker):
        left = list(state.broker)
        left.remove(message)
        without = state._replace(broker=tuple(left))
        words = f"{world.name(index)} receives ticket {message.ticket}"
        if worker.banned:
            yield Step(f"{words} and throws it away, as the job was terminated there", without)
        else:
            given = process._replace(phase=Phase.TAKE, message=message)
            yield Step(words, without.with_process(index, given))


def take(world: World, state: State, index: int) -> Steps:
    """A delivery takes the job, or learns why it may not."""
    job, process, rules = state.job, state.processes[index], world.rules
    worker, name = state.workers[world.worker_of(index)], world.name(index)
    fits = job.attempt == process.message.ticket or not rules.ticket
    if _is_my_take(world, state, index):
        mine = process._replace(phase=Phase.BEGIN, attempt=job.attempt)
        yield Step(f"{name} finds that it took the job itself", state.with_process(index, mine))
    elif job.holder is None and job.status in LIVE and fits:
        if worker.lease is Lease.ALIVE or not rules.lease:
            yield from _taken(world, state, index)
    elif job.pending:
        again = process._replace(phase=Phase.DISPATCH, attempt=None, then=job.status)
        yield Step(f"{name} finds that follow-ups are pending", state.with_process(index, again))
    else:
        yield Step(f"{name} drops the message", state.with_process(index, process.ready()))


def _taken(world: World, state: State, index: int) -> Steps:
    job, process, place = state.job, state.processes[index], world.worker_of(index)
    worker, attempt = state.workers[place], job.attempt + 1
    row = moved(job, JobStatus.PROCESSING)._replace(
        attempt=attempt,
        holder=Holder(place, worker.generation, process.pid),
        leased=worker.lease is Lease.ALIVE,
    )
    taken = state._replace(job=row)
    words = f"{world.name(index)} takes the job (ticket {process.message.ticket})"
    known = process._replace(phase=Phase.BEGIN, attempt=attempt)
    call = process.message.call
    yield Step(words, taken.with_process(index, known), taker=worker, called=call)
    if state.faults and process.phase is Phase.TAKE:
        unsure = process._replace(phase=Phase.TAKE_AGAIN, attempt=attempt)
        step = Step(words, taken.with_process(index, unsure), taker=worker, called=call)
        yield unanswered(step)


def give_up(world: World, state: State, index: int) -> Steps:
    """No lease, or a database that is away too long: a late-acking message goes back."""
    process = state.processes[index]
    leased = state.workers[world.worker_of(index)].lease is Lease.ALIVE
    if process.phase is Phase.TAKE_AGAIN or not leased:
        left = state.with_process(index, process.ready())
        if world.idempotent:
            left = left.with_message(process.message)
        yield Step(f"{world.name(index)} gives up starting the job", left)


def begin(world: World, state: State, index: int) -> Steps:
    """The body that the message calls begins."""
    process, call = state.processes[index], state.processes[index].message.call
    begun = state.with_process(index, process._replace(phase=Phase.BODY))
    if not world.idempotent:
        started = tuple(sorted((*state.job.started, call)))
        begun = begun._replace(job=state.job._replace(started=started))
    yield Step(f"{world.name(index)} begins the body of {call_name(call)}", begun, begun=call)


def report(world: World, state: State, index: int) -> Steps:
    """The body reports progress: written, told to end, or refused."""
    process, name = state.processes[index], world.name(index)
    if not accepts(world, state.job, process.attempt):
        ended = state.with_process(index, process.ready())
        yield Step(f"{name} reports progress and is refused", ended)
        return
    words = f"{name} writes progress as attempt {process.attempt}"
    yield Step(words, state, writer=process.attempt)
    if state.job.must_end:
        ending = process._replace(phase=Phase.LAND, then=JobStatus.FAILED)
        told = state.with_process(index, ending)
        yield Step(f"{words} and is told to end", told, writer=process.attempt)


def end_body(world: World, state: State, index: int) -> Steps:
    """The body returns or raises; without its rule, Celery dispatches an errback at once."""
    process, name = state.processes[index], world.name(index)
    success = JobStatus.PARTIAL if world.keep_partial else JobStatus.COMPLETED
    returned = process._replace(phase=Phase.LAND, then=success)
    yield Step(f"{name}'s body returns", state.with_process(index, returned))
    first = Phase.LAND if world.rules.errbacks_wait else Phase.DISPATCH
    raised = process._replace(phase=first, then=JobStatus.FAILED)
    yield Step(f"{name}'s body raises", state.with_process(index, raised))


def land(world: World, state: State, index: int) -> Steps:
    """The landing: fenced, and noting in the same write that follow-ups are pending."""
    job, process, rules = state.job, state.processes[index], world.rules
    name = world.name(index)
    done = process._replace(phase=Phase.DISPATCH)
    if process.then is JobStatus.FAILED and not rules.errbacks_wait:
        done = process.ready()
    words = f"{name} lands the job as {process.then}"
    if accepts(world, job, process.attempt):
        row = moved(job, process.then)._replace(
            holder=None,
            landed_by=process.attempt,
            pending=rules.pending and done.phase is Phase.DISPATCH,
        )
        landed = state._replace(job=row)
        yield Step(words, landed.with_process(index, done), writer=process.attempt)
        if state.faults and process.phase is Phase.LAND:
            unsure = landed.with_process(index, process._replace(phase=Phase.LAND_AGAIN))
            yield unanswered(Step(words, unsure, writer=process.attempt))
    elif _is_my_landing(world, job, process):
        yield Step(f"{name} takes the landing for its own", state.with_process(index, done))
    else:
        after = process.ready() if rules.silence else done
        yield Step(f"{words} and is refused", state.with_process(index, after))


def dispatch(world: World, state: State, index: int) -> Steps:
    """Celery dispatches the follow-ups; with frozen ids, what is there already stays as it is."""
    process, most = state.processes[index], 1 if world.rules.frozen_ids else 2
    then = Process(process.pid, Phase.CLEAR, process.message)
    if process.then is JobStatus.FAILED:
        what, told = "errback", state._replace(errbacks=min(state.errbacks + 1, most))
        if process.attempt is not None and not world.rules.errbacks_wait:
            then = process._replace(phase=Phase.LAND)
    else:
        what, told = "callback", state._replace(callbacks=min(state.callbacks + 1, most))
    words = f"{world.name(index)} dispatches the {what}"
    yield Step(words, told.with_process(index, then), dispatcher=process.attempt)


def clear(world: World, state: State, index: int) -> Steps:
    """The process notes that the follow-ups are dispatched."""
    noted = state._replace(job=state.job._replace(pending=False))
    words = f"{world.name(index)} notes that the follow-ups are dispatched"
    yield Step(words, noted.with_process(index, state.processes[index].ready()))


def _is_my_take(world: World, state: State, index: int) -> bool:
    """Tell a take whose answer was lost from a duplicate."""
    job, process = state.job, state.processes[index]
    if job.holder is None:
        return False
    if world.rules.own_take:
        return process.phase is Phase.TAKE_AGAIN and job.attempt == process.attempt
    place = world.worker_of(index)
    me = Holder(place, state.workers[place].generation, process.pid)
    return (job.holder, job.attempt) == (me, process.message.ticket + 1) and not any(
        other.phase in RUNNING and other.attempt == job.attempt for other in state.processes
    )


def _is_my_landing(world: World, job: Job, process: Process) -> bool:
    """Tell a landing whose answer was lost from somebody else's."""
    if world.rules.own_landing:
        return job.landed_by == process.attempt
    return (job.attempt, job.status) == (process.attempt, process.then)


BY_PHASE: dict[Phase, tuple[Callable[[World, State, int], Steps], ...]] = {
    Phase.IDLE: (receive,),
    Phase.TAKE: (take, give_up),
    Phase.TAKE_AGAIN: (take, give_up),
    Phase.BEGIN: (begin,),
    Phase.BODY: (report, end_body),
    Phase.LAND: (land,),
    Phase.LAND_AGAIN: (land,),
    Phase.DISPATCH: (dispatch,),
    Phase.CLEAR: (clear,),
    Phase.RELEASE: (release,),
    Phase.RELEASE_AGAIN: (release,),
    Phase.PUBLISH: (publish_retry,),
    Phase.DELEGATE: (delegate,),
    Phase.DELEGATE_AGAIN: (delegate,),
    Phase.HAND_ON: (hand_on,),
}
"""What a process may do in each phase."""
