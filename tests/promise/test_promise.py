"""The promise is kept whatever happens in whatever order, and not without each guard."""

from collections.abc import Callable

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from jobstate import JobService
from tests.promise.machine import Machine
from tests.promise.mutants import MUTANTS

# A search takes as long as it takes, and longer where it shrinks what it has found.
pytestmark = pytest.mark.timeout(600)

Connect = Callable[[], psycopg.Connection]

SEARCH = settings(
    deadline=None,
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

# Without a guard, the first violation that is found is enough; and the search is always the same.
UNGUARDED = settings(
    SEARCH,
    max_examples=300,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


def test_the_promise_is_kept(service: JobService, connect: Connect) -> None:
    connection = connect()
    run_state_machine_as_test(lambda: Machine(service, connection), settings=SEARCH)


@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_broken_when(service: JobService, connect: Connect, name: str) -> None:
    connection, mutant = connect(), MUTANTS[name]
    service.store._queries = mutant.statements()

    def machine() -> Machine:
        return Machine(service, connection)

    begun = machine if mutant.seed is None else seed(mutant.seed)(machine)
    with pytest.raises(AssertionError) as broken:
        run_state_machine_as_test(begun, settings=UNGUARDED)
    assert mutant.harm in str(broken.value)
