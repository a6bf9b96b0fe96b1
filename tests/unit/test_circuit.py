"""The circuit breaker: a broker that has failed is tried by one, and rarely."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jobstate.celery.circuit import LONGEST, Circuit


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Callable[[], float]) -> Circuit:
    return Circuit(clock)


def test_it_admits_everybody_until_something_fails(circuit: Circuit) -> None:
    assert circuit.admits()
    circuit.worked()
    assert circuit.admits()
    circuit.failed()
    assert not circuit.admits()


def test_after_its_pause_it_admits_one_and_closes_when_that_worked(
    circuit: Circuit, clock: Clock
) -> None:
    circuit.failed()
    clock.now += 1
    assert [circuit.admits() for _ in range(3)] == [True, False, False]
    circuit.worked()
    assert [circuit.admits() for _ in range(3)] == [True, True, True]


def test_its_pause_doubles_with_each_try_that_fails_up_to_the_longest(
    circuit: Circuit, clock: Clock
) -> None:
    circuit.failed()
    for pause in (1, 2, 4, 8, 16, LONGEST, LONGEST):
        clock.now += pause - 0.1
        assert not circuit.admits()
        clock.now += 0.1
        assert circuit.admits()
        circuit.failed()
    clock.now += LONGEST
    assert circuit.admits()
    circuit.worked()
    circuit.failed()
    clock.now += 1
    assert circuit.admits()


def test_a_try_that_learnt_nothing_leaves_it_to_the_next_one(
    circuit: Circuit, clock: Clock
) -> None:
    """Or a message that cannot be made, tried first each time, would keep it open for ever."""
    circuit.learnt_nothing()
    circuit.failed()
    circuit.learnt_nothing()
    assert not circuit.admits(), "nobody had tried since it failed"
    clock.now += 1
    assert circuit.admits()
    circuit.learnt_nothing()
    assert [circuit.admits() for _ in range(2)] == [True, False]
    circuit.failed()
    clock.now += 1
    assert not circuit.admits(), "the pause has doubled all the same"
    clock.now += 1
    assert circuit.admits()
    circuit.worked()
    circuit.learnt_nothing()
    assert circuit.admits()


def test_many_that_fail_at_the_same_time_are_one_failure(circuit: Circuit, clock: Clock) -> None:
    for _ in range(50):
        circuit.failed()
    clock.now += 1
    assert circuit.admits()


def test_a_try_that_is_never_heard_of_again_is_not_the_last(circuit: Circuit, clock: Clock) -> None:
    circuit.failed()
    clock.now += 1
    assert circuit.admits()
    clock.now += 1
    assert circuit.admits()


def test_of_many_threads_it_admits_one(circuit: Circuit, clock: Clock) -> None:
    start = Barrier(8)

    def ask(_: int) -> bool:
        start.wait()
        return circuit.admits()

    circuit.failed()
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            clock.now += LONGEST
            assert sum(threads.map(ask, range(8))) == 1


def test_a_process_that_is_forked_while_a_thread_uses_it_goes_on(circuit: Circuit) -> None:
    with circuit._lock:
        if (child := os.fork()) == 0:
            signal.alarm(60)  # which ends a process that waits for ever
            circuit.failed()
            os._exit(0 if not circuit.admits() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert circuit.admits()
