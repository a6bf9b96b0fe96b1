"""The search finds what is there, by the shortest way; and nothing else."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.search import Explored, explore


class Move(NamedTuple):
    """A step to a number."""

    state: int
    owed: bool = True

    @property
    def words(self) -> str:
        """Name the number."""
        return str(self.state)


def _walk(moves: dict[int, list[Move]], bad: int | None = None) -> Explored:
    """Start at 0; 9 is good, and `bad` breaks something."""

    def steps(state: int) -> Iterator[Move]:
        yield from moves.get(state, [])

    return explore(
        0,
        steps,
        broken=lambda _, step: "broken" if step.state == bad else None,
        is_good=lambda state: state == 9,
        lacks=lambda state: f"{state} is stuck",
    )


def test_every_state_is_visited_once() -> None:
    explored = _walk({0: [Move(1), Move(2)], 1: [Move(9)], 2: [Move(9)], 9: [Move(0)]})
    assert explored == (4, 5, None)


def test_the_shortest_way_to_a_violation_is_told() -> None:
    found = _walk({0: [Move(1), Move(2)], 1: [Move(3)], 2: [Move(7)], 3: [Move(7)]}, bad=7).found
    assert found == ("broken", ("2", "7"))


def test_a_state_without_a_way_on_is_stuck() -> None:
    found = _walk({0: [Move(9), Move(1)], 1: [Move(2)]}).found
    assert found == ("2 is stuck", ("1", "2"))


def test_going_round_in_circles_is_being_stuck() -> None:
    found = _walk({0: [Move(9), Move(1)], 1: [Move(2)], 2: [Move(1)]}).found
    assert found == ("1 is stuck", ("1",))


def test_nobody_may_count_on_a_step_that_is_not_owed() -> None:
    found = _walk({0: [Move(9), Move(1)], 1: [Move(9, owed=False)]}).found
    assert found == ("1 is stuck", ("1",))


def test_states_with_the_same_key_are_one() -> None:
    explored = explore(
        0,
        lambda state: [Move(state + 1)] if state < 8 else [],
        broken=lambda _before, _step: None,
        is_good=lambda _state: True,
        lacks=str,
        key=lambda state: state % 2,
    )
    assert explored.states == 2
