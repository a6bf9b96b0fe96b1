"""What keepers and sweepers do: leases, burials, rescues, ends, and publishing from the row.

Each step is one statement or one message; any number of keepers and sweepers act at once.
"""

from collections.abc import Callable, Iterator

from jobstate.states import JobStatus
from tests.model.state import (
    LIVE,
    Fate,
    Holder,
    Job,
    Lease,
    Main,
    Members,
    Message,
    Phase,
    State,
    Step,
    Worker,
    moved,
)
from tests.model.world import Pool, World

Steps = Iterator[Step]


def renew(world: World, state: State, index: int) -> Steps:
    """A worker renews its lease; one that was buried goes on under a new id."""
    worker, name = state.workers[index], world.worker_name(index)
    if worker.main is not Main.UP or worker.lease is Lease.ALIVE:
        return
    alive = worker._replace(lease=Lease.ALIVE)
    if worker.lease is Lease.DEAD:
        alive = alive._replace(generation=_new_generation(state, index))
        yield Step(f"{name} goes on under a new id", state.with_worker(index, alive))
    else:
        yield Step(f"{name} renews its lease", state.with_worker(index, alive))


def fall_silent(world: World, state: State, index: int) -> Steps:
    """The lease of a worker that is paused or gone runs out."""
    worker = state.workers[index]
    if worker.main is not Main.UP and worker.lease is Lease.ALIVE:
        late = worker._replace(lease=Lease.LATE)
        yield Step(f"{world.worker_name(index)}'s lease runs out", state.with_worker(index, late))


def resume(world: World, state: State, index: int) -> Steps:
    """A paused worker goes on; nobody may count on it, unless there is no other."""
    worker = state.workers[index]
    if worker.main is Main.PAUSED:
        up = state.with_worker(index, worker._replace(main=Main.UP))
        alone = all(other.main is Main.PAUSED for other in state.workers)
        yield Step(f"{world.worker_name(index)} resumes", up, owed=alone)


def boot(world: World, state: State, index: int) -> Steps:
    """A new worker starts in the place of one that was buried."""
    worker = state.workers[index]
    if worker.main is Main.GONE and worker.lease is Lease.DEAD:
        fresh = Worker(generation=_new_generation(state, index))
        yield Step(f"{world.worker_name(index)} starts anew", state.with_worker(index, fresh))


def settle(world: World, state: State, index: int) -> Steps:
    """The keeper deals with what was handed over, if it still concerns the job."""
    worker, job, rules = state.workers[index], state.job, world.rules
    if worker.main is not Main.UP or not worker.handed_over:
        return
    (fate, numbers), *others = worker.handed_over
    left = state.with_worker(index, worker._replace(handed_over=tuple(others)))
    who = f"{world.worker_name(index)}'s keeper"
    if fate is Fate.UNSTARTED:
        concerned = job.status in LIVE and job.holder is None and job.attempt in numbers
        concerned = concerned or (job.status in LIVE and not rules.match)
    else:
        mine = {Holder(index, worker.generation, pid) for pid in numbers}
        concerned = job.holder is not None and (job.holder in mine or not rules.match)
    if not concerned:
        yield Step(f"{who} finds that nothing follows from that for the job", left)
    elif fate is Fate.LOST:
        yield _rescued(world, left, who)
    else:
        yield Step(f"{who} fails the job", _failed(world, left), rescued=job.holder is not None)


def answer(world: World, state: State, index: int) -> Steps:
    """The keeper rescues a job that its worker holds and no process of it runs."""
    worker, holder = state.workers[index], state.job.holder
    if worker.main is not Main.UP or holder is None or holder[:2] != (index, worker.generation):
        return
    if world.rules.idle_holds or world.pool is Pool.THREADS:
        runs = any(process.attempt == state.job.attempt for process in state.processes)
    else:
        pids = {p.pid for n, p in enumerate(state.processes) if world.worker_of(n) == index}
        runs = holder.pid in pids
    if not runs:
        yield _rescued(world, state, f"{world.worker_name(index)}'s keeper")


def bury(world: World, state: State, index: int) -> Steps:
    """A sweep gives up a worker whose lease ran out, in a statement of its own."""
    worker = state.workers[index]
    if worker.lease is Lease.LATE or (worker.lease is Lease.MISSED and not world.rules.patience):
        dead = state.with_worker(index, worker._replace(lease=Lease.DEAD))
        yield Step(f"a sweep buries {world.worker_name(index)}", dead, buried=worker)


def look(world: World, state: State, index: int) -> Steps:
    """A sweep that does it all in one statement begins, and sees what is true then."""
    worker, holder = state.workers[index], state.job.holder
    if world.rules.burial or state.seen is not None or worker.lease is not Lease.LATE:
        return
    if holder is not None and holder[:2] == (index, worker.generation):
        words = f"a sweep's statement begins, and sees {world.worker_name(index)} silent"
        yield Step(words, state._replace(seen=holder))


def rescue(world: World, state: State) -> Steps:
    """A sweep rescues a job whose worker is buried."""
    holder = state.job.holder
    if holder is None:
        return
    worker = state.workers[holder.worker]
    if state.seen == holder:
        yield _rescued(world, state._replace(seen=None), "that statement")
    elif worker.generation != holder.generation or worker.lease is Lease.DEAD:
        yield _rescued(world, state, "a sweep")


def judge(_world: World, state: State) -> Steps:
    """After an outage a whole lease passes: who has not renewed by then is silent itself."""
    missed = [worker for worker in state.workers if worker.lease is Lease.MISSED]
    if missed and all(worker.main is not Main.UP for worker in missed):
        workers = tuple(
            worker._replace(lease=Lease.LATE) if worker in missed else worker
            for worker in state.workers
        )
        yield Step("the database has been back for a lease", state._replace(workers=workers))


def end(world: World, state: State) -> Steps:
    """A sweep fails a job that must end, and has its run terminated where that is heard."""
    job = state.job
    if not job.must_end or job.status not in LIVE:
        return
    failed, words = _failed(world, state), "a sweep fails the job"
    yield Step(words, failed)
    if job.holder is None or state.workers[job.holder.worker].main is not Main.UP:
        return
    place = job.holder.worker
    told = failed.with_worker(place, failed.workers[place]._replace(banned=not world.rules.no_ban))
    for index, process in enumerate(state.processes):
        if process.attempt == job.attempt and process.phase is not Phase.IDLE:
            told = told.with_process(index, process.ready())
    yield Step(f"{words} and terminates its run", told)


def publish(world: World, state: State) -> Steps:
    """The row is published: at first, and again when its message must have been lost."""
    job = state.job
    if job.holder is not None or job.delegated or not (job.status in LIVE or job.pending):
        return
    if world.adopted and not (job.attempt and (job.call or world.rules.adopted_message)):
        return
    message = Message(job.attempt, job.call)
    waits = any(
        process.phase is Phase.TAKE
        and process.message.ticket == job.attempt
        and state.workers[world.worker_of(index)].main is Main.UP
        for index, process in enumerate(state.processes)
    )
    if not waits and all(other.ticket != job.attempt for other in state.broker):
        again = "" if job.status in LIVE else " again, for its follow-ups"
        words = f"the job is published{again} (ticket {job.attempt})"
        yield Step(words, state.with_message(message))


def publish_members(world: World, state: State) -> Steps:
    """The tasks that take a job over are published from its row, if that was not done."""
    if world.rules.canvas and state.members is Members.NONE and _is_delegated(state.job):
        words = "the other tasks are published from the row"
        yield Step(words, state._replace(members=Members.OUT))


def end_members(world: World, state: State) -> Steps:
    """Those tasks end: the last goes on with the job, or one fails, and so does the job."""
    if state.members is Members.FAILED and _is_delegated(state.job):
        yield Step("a sweep fails the job, as another task failed", _failed(world, state))
    if state.members is Members.OUT:
        failed = state._replace(members=Members.FAILED)
        yield Step("one of the other tasks fails", failed)
        done = state._replace(members=Members.NONE)
        if _is_delegated(state.job):
            done = done._replace(job=state.job._replace(delegated=False))
        yield Step("the last of the other tasks goes on with the job", done)


def _is_delegated(job: Job) -> bool:
    return job.delegated and job.status in LIVE


def _rescued(world: World, state: State, who: str) -> Step:
    """Decide by the job's policy: run it again, keep what it did, or fail it."""
    job = state.job
    if world.idempotent and job.rescues < world.max_rescues:
        row = job._replace(holder=None, rescues=job.rescues + 1)
        words = f"{who} rescues the job: it waits to run again"
        return Step(words, state._replace(job=row), rescued=True)
    status = JobStatus.PARTIAL if world.keep_partial else JobStatus.FAILED
    pending = world.rules.pending and (world.rules.kept_follow_ups or not world.keep_partial)
    row = moved(job, status)._replace(holder=None, pending=pending)
    return Step(f"{who} rescues the job: it is {status}", state._replace(job=row), rescued=True)


def _failed(world: World, state: State) -> State:
    """Fail the job; one that never started is started and failed in one transaction."""
    begun = moved(state.job, JobStatus.PROCESSING)
    if state.job.status is JobStatus.QUEUED:
        begun = begun._replace(attempt=begun.attempt + 1)
    row = moved(begun, JobStatus.FAILED)._replace(
        holder=None, delegated=False, pending=world.rules.pending
    )
    return state._replace(job=row)


def _new_generation(state: State, index: int) -> int:
    """Return a number for a worker's new id that no row has."""
    taken = {state.workers[index].generation}
    if state.job.holder is not None and state.job.holder.worker == index:
        taken.add(state.job.holder.generation)
    return next(number for number in range(3) if number not in taken)


BY_WORKER: tuple[Callable[[World, State, int], Steps], ...] = (
    renew,
    fall_silent,
    resume,
    boot,
    settle,
    answer,
    bury,
    look,
)
"""What happens to one worker..."""

BY_QUIET_WORKER = (answer,)
"""... and to one that is up, has its lease, and has nothing to settle."""

BY_ANYONE: tuple[Callable[[World, State], Steps], ...] = (
    publish,
    rescue,
    judge,
    end,
    publish_members,
    end_members,
)
"""What any keeper or sweeper does."""
