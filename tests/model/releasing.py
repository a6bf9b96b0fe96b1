"""How an attempt gives up its job for a later one: to a retry, or to other tasks.

The row first, then the broker.
"""

from collections.abc import Iterator

from tests.model.state import Members, Message, Phase, State, Step
from tests.model.world import World
from tests.model.writes import accepts, call_name, unanswered

Steps = Iterator[Step]


def release(world: World, state: State, index: int) -> Steps:
    """A retry gives up the job in the row, with the message of the next attempt in it."""
    process, words = state.processes[index], f"{world.name(index)} releases the job"
    if not accepts(world, state.job, process.attempt):
        yield _refused(world, state, index, words, Phase.PUBLISH)
        return
    row, after = state.job._replace(holder=None, asked=process.call), process.ready()
    if world.rules.row_first:
        row, after = row._replace(call=process.call), process._replace(phase=Phase.PUBLISH)
    released = state._replace(job=row)
    yield Step(words, released.with_process(index, after), writer=process.attempt)
    if state.faults and process.phase is Phase.RELEASE:
        unsure = released.with_process(index, process._replace(phase=Phase.RELEASE_AGAIN))
        yield unanswered(Step(words, unsure, writer=process.attempt))


def publish_retry(world: World, state: State, index: int) -> Steps:
    """A retry publishes the next attempt; its ticket is the attempt that ends."""
    process = state.processes[index]
    after = process.ready()
    if not world.rules.row_first:
        after = process._replace(phase=Phase.RELEASE)
    published = state.with_message(Message(process.attempt, process.call))
    words = f"{world.name(index)} publishes {call_name(process.call)} (ticket {process.attempt})"
    yield Step(words, published.with_process(index, after))


def delegate(world: World, state: State, index: int) -> Steps:
    """A replacement by other tasks gives up the job in the row, with those tasks in it."""
    process, words = state.processes[index], f"{world.name(index)} releases the job to other tasks"
    if not accepts(world, state.job, process.attempt):
        yield _refused(world, state, index, words, Phase.HAND_ON)
        return
    row = state.job._replace(
        holder=None,
        delegated=True,
        delegated_by=(*state.job.delegated_by, process.attempt),
        call=process.call,
        asked=process.call,
    )
    released = state._replace(job=row, members=Members.NONE)
    onward = process._replace(phase=Phase.HAND_ON)
    yield Step(words, released.with_process(index, onward), writer=process.attempt)
    if state.faults and process.phase is Phase.DELEGATE:
        unsure = released.with_process(index, process._replace(phase=Phase.DELEGATE_AGAIN))
        yield unanswered(Step(words, unsure, writer=process.attempt))


def hand_on(world: World, state: State, index: int) -> Steps:
    """A replacement publishes the tasks that take the job over; their ids are frozen."""
    job, process = state.job, state.processes[index]
    words = f"{world.name(index)} publishes the other tasks"
    after = state.with_process(index, process.ready())
    mine = job.delegated and job.attempt == process.attempt
    if mine and state.members is Members.NONE:
        after = after._replace(members=Members.OUT)
    yield Step(words, after, dispatcher=process.attempt)


def _refused(world: World, state: State, index: int, words: str, onward: Phase) -> Step:
    process = state.processes[index]
    after = process._replace(phase=onward)
    if world.rules.quiet_release:
        after = process.ready()
    return Step(f"{words} and is refused", state.with_process(index, after))
