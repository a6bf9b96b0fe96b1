"""The protocol keeps its promises, and needs each of its rules for that."""

import pytest

from tests.model import faults
from tests.model.checking import Fault, check
from tests.model.traces import EXAMPLES, Example
from tests.model.world import Pool, Rules, World

AT_MOST_ONCE = World()
AT_LEAST_ONCE = World(idempotent=True)
BOTH = (AT_MOST_ONCE, AT_LEAST_ONCE)
KINDS = [kind for kind in faults.FAULTS if kind is not faults.submit_again]
SPECIAL = (World(keep_partial=True), World(idempotent=True, adopted=True))


@pytest.mark.parametrize("world", BOTH, ids=str)
def test_two_workers_keep_every_promise(world: World) -> None:
    """In spite of any two faults."""
    assert check(world, 2).found is None


@pytest.mark.parametrize("idempotent", [False, True])
def test_two_threads_of_one_worker_keep_every_promise(idempotent: bool) -> None:  # noqa: FBT001
    """In spite of any two faults."""
    assert check(World(idempotent=idempotent, pool=Pool.THREADS), 2).found is None


@pytest.mark.parametrize("idempotent", [False, True])
def test_two_processes_of_one_worker_keep_every_promise(idempotent: bool) -> None:  # noqa: FBT001
    assert check(World(idempotent=idempotent, pool=Pool.PROCESSES), 1).found is None


@pytest.mark.parametrize("pool", Pool)
@pytest.mark.parametrize("special", SPECIAL, ids=str)
def test_partial_results_and_adopted_jobs_keep_every_promise(special: World, pool: Pool) -> None:
    assert check(special._replace(pool=pool), 1).found is None


def test_nothing_goes_wrong_where_nothing_can() -> None:
    """The promises are not kept for want of trying: there is a search with no fault at all."""
    explored = check(AT_MOST_ONCE, 0)
    assert explored.found is None
    assert explored.states > 50


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule)
def test_without_a_rule_a_promise_is_broken(example: Example) -> None:
    assert example.without() is not None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.rule)
def test_with_the_rule_it_is_kept(example: Example) -> None:
    """In the same circumstances."""
    assert example.with_rule() is None


def test_every_rule_has_its_example() -> None:
    assert [example.rule for example in EXAMPLES] == list(Rules._fields)


def test_a_worker_without_a_lease_never_takes() -> None:
    lawless = World(Rules(lease=False))
    assert check(lawless, 1).found.what == "a worker without a lease takes the job"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_fault_happens(kind: Fault) -> None:
    """It leads to states that are not reached without it."""
    assert check(AT_LEAST_ONCE, 1, [kind]).states > check(AT_LEAST_ONCE, 1, []).states
