"""Tasks that leave their jobs to others. Real workers import this."""

from typing import Any

from celery import chord, group, shared_task

from jobstate import JobTask
from jobstate.celery.runtime import Runtime
from tests.faults.tasks import adds, die, fails


@shared_task(ignore_result=False)
def adds_plainly(x: int, y: int = 0) -> int:
    return x + y


@shared_task
def fails_plainly(*_: Any) -> None:
    raise ValueError("No luck, plainly.")


@shared_task(ignore_result=False)
def returns_no_json(*_: Any) -> object:
    return "\ud800"


@shared_task(base=JobTask, bind=True)
def becomes_a_chain(self: JobTask, *, failing: bool = False) -> None:
    middle = fails.s() if failing else adds.s(10)
    raise self.replace(adds.s(1, 1) | middle | adds.s(100))


@shared_task(base=JobTask, bind=True, ignore_result=False)
def becomes_a_group(self: JobTask) -> None:
    raise self.replace(group(adds.s(1, 1), adds.s(2, 2)))


@shared_task(base=JobTask, bind=True, ignore_result=False)
def becomes_a_chord(self: JobTask, *, failing: bool = False) -> None:
    header = [adds.s(1, 1), fails.s() if failing else adds.s(2, 2)]
    raise self.replace(chord(header, adds_up.s()))


@shared_task(base=JobTask, ignore_result=False)
def adds_up(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task(base=JobTask, bind=True)
def becomes_a_chain_of_plain_tasks(self: JobTask, *, last: str = "adds_plainly") -> None:
    raise self.replace(adds_plainly.s(1, 1) | self.app.tasks[f"{__name__}.{last}"].s())


@shared_task(base=JobTask, bind=True)
def becomes_a_chain_whose_plain_start_fails(self: JobTask) -> None:
    raise self.replace(fails_plainly.s() | adds.s(1))


@shared_task(base=JobTask, bind=True)
def dies_becoming_a_chain(self: JobTask) -> None:
    """Kill the process after the release, before anything was published."""
    Runtime.publish_committed = lambda *_: die()  # type: ignore[method-assign]
    raise self.replace(adds.s(1, 1) | adds.s(100))


@shared_task(base=JobTask, bind=True)
def becomes_what_cannot_be_stored(self: JobTask) -> None:
    raise self.replace(adds.s(object()) | adds.s(1))
