"""The mark in the broker: where it is gone, whatever was published is published again."""

from uuid import UUID

import pytest

from jobstate.sweeper import Sweeper
from tests.factories import landed, queued_job, released
from tests.sweeping.scene import Scene


class Lamp:
    """A mark that the test puts out. None: the broker is away."""

    def __init__(self) -> None:
        self.lit: bool | None = False
        self.names: set[UUID] = set()

    def is_lit(self, name: UUID) -> bool | None:
        """Tell."""
        self.names.add(name)
        return self.lit

    def light(self, name: UUID) -> bool:
        """Mark."""
        self.names.add(name)
        self.lit = self.lit is not None
        return self.lit


@pytest.fixture
def lamp() -> Lamp:
    """A mark that is not there yet."""
    return Lamp()


@pytest.fixture
def sweeper(scene: Scene, lamp: Lamp) -> Sweeper:
    """A sweeper that looks for it."""
    scene.seen_up()
    return Sweeper(scene.store, scene.settings, publish=scene.publish, beacon=lamp)


def test_the_first_sweeper_marks_the_broker_and_doubts_nothing(
    scene: Scene, sweeper: Sweeper, lamp: Lamp
) -> None:
    scene.queued()
    assert sweeper.sweep().published == 0
    assert lamp.lit


def test_all_sweepers_of_a_database_look_for_the_same_mark(
    scene: Scene, sweeper: Sweeper, lamp: Lamp
) -> None:
    for other in (sweeper, Sweeper(scene.store, scene.settings, publish=bool, beacon=lamp)):
        other.sweep()
    assert len(lamp.names) == 1


def test_after_a_loss_of_all_messages_every_job_that_waits_is_published_again(
    scene: Scene, sweeper: Sweeper, lamp: Lamp
) -> None:
    sweeper.sweep()
    queued = scene.queued()
    retried = scene.held()
    released(scene.store, retried)
    scene.publish(retried.job_id)
    running, done = scene.held(), scene.held()
    landed(scene.store, done)
    scene.published.clear()
    lamp.lit = False
    assert sweeper.sweep().published == 2
    assert set(scene.published) == {queued.id, retried.job_id}
    assert lamp.lit
    assert scene.read(running).attempt == 1
    assert sweeper.sweep().published == 0


def test_a_loss_of_all_messages_takes_those_along_that_are_not_noted_yet(
    scene: Scene, sweeper: Sweeper, lamp: Lamp
) -> None:
    """Their rows say that they were never published; a note that comes now must not count."""
    sweeper.sweep()
    fresh, old = queued_job(scene.store), queued_job(scene.store)
    scene.sql(
        "update jobstate.jobs set created_at = now() - interval '1 hour' where id = %s", old.id
    )
    lamp.lit = False
    assert sweeper.sweep().published == 1
    assert scene.published == [fresh.id]


def test_while_the_broker_is_away_nothing_is_doubted(
    scene: Scene, sweeper: Sweeper, lamp: Lamp
) -> None:
    sweeper.sweep()
    scene.queued()
    lamp.lit = None
    assert sweeper.sweep().published == 0
