"""A breadth-first search through every state that can be reached: shortest traces, and liveness.

It knows nothing of jobs. Of a state that was seen only its key is kept, a hash of 64 bits, so that
millions fit into memory: among five million states, two share one with a chance of one in a
million.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

State = TypeVar("State")
State_co = TypeVar("State_co", covariant=True)


class Step(Protocol[State_co]):
    """One thing that can happen next."""

    @property
    def words(self) -> str:
        """Say what happens."""

    @property
    def state(self) -> State_co:
        """Return the state after it."""

    @property
    def owed(self) -> bool:
        """Tell whether it happens in the end when nothing goes wrong any more."""


class Found(NamedTuple):
    """A violation, and the shortest way to it."""

    what: str
    trace: tuple[str, ...]


class Explored(NamedTuple):
    """What a search has seen: all there is, unless it found something."""

    states: int
    steps: int
    found: Found | None


def explore(
    start: State,
    steps: Callable[[State], Iterable[Step[State]]],
    *,
    broken: Callable[[State, Step[State]], str | None],
    is_good: Callable[[State], bool],
    lacks: Callable[[State], str],
    key: Callable[[State], int] = hash,
) -> Explored:
    """Visit every state, until a step breaks something, or a state is found to be stuck.

    Args:
        start: The first state.
        steps: What can happen next; always in the same order.
        broken: Tells in words what a step breaks.
        is_good: Whether a state is one that all must be able to reach by steps that are owed.
        lacks: Tells in words what a state that cannot reach one lacks.
        key: Tells states apart; states with the same key are taken for one.
    """
    graph = _Graph(is_good(start))
    numbers = {key(start): 0}
    waiting = deque([start])
    taken = number = 0
    while waiting:
        state = waiting.popleft()
        for choice, step in enumerate(steps(state)):
            taken += 1
            if (what := broken(state, step)) is not None:
                words, _ = _replay(start, steps, [*graph.choices_to(number), choice])
                return Explored(len(numbers), taken, Found(what, words))
            after = step.state
            if after is state:
                continue
            following = numbers.setdefault(key(after), len(numbers))
            if following == graph.size:
                graph.add(number, choice, good=is_good(after))
                waiting.append(after)
            if step.owed and following != number:
                graph.connect(number, following)
        number += 1
    stuck = graph.first_stuck()
    if stuck is None:
        return Explored(len(numbers), taken, None)
    words, state = _replay(start, steps, graph.choices_to(stuck))
    return Explored(len(numbers), taken, Found(lacks(state), words))


class _Graph:
    """The states by number, in the order they were found; how each was found; the owed steps."""

    def __init__(self, good: bool) -> None:  # noqa: FBT001 - whether the first state is good
        self._parents = array("L", [0])
        self._choices = array("H", [0])
        self._good = bytearray([good])
        self._sources = array("L")
        self._targets = array("L")

    @property
    def size(self) -> int:
        return len(self._good)

    def add(self, parent: int, choice: int, *, good: bool) -> None:
        self._parents.append(parent)
        self._choices.append(choice)
        self._good.append(good)

    def connect(self, source: int, target: int) -> None:
        self._sources.append(source)
        self._targets.append(target)

    def choices_to(self, number: int) -> list[int]:
        """List which step was chosen each time, on the shortest way to a state."""
        chosen = []
        while number:
            chosen.append(self._choices[number])
            number = self._parents[number]
        return chosen[::-1]

    def first_stuck(self) -> int | None:
        """Return a state from which no good one can be reached: where all has ended, if any has."""
        first, sources = self._sources_by_target()
        reaches = bytearray(self._good)
        todo = [number for number in range(self.size) if reaches[number]]
        while todo:
            target = todo.pop()
            for source in sources[first[target] : first[target + 1]]:
                if not reaches[source]:
                    reaches[source] = 1
                    todo.append(source)
        stuck = [number for number, reached in enumerate(reaches) if not reached]
        going_on = set(self._sources) if stuck else ()
        ended = (number for number in stuck if number not in going_on)
        return next(ended, next(iter(stuck), None))

    def _sources_by_target(self) -> tuple[array, array]:
        first = array("L", bytes(8 * (self.size + 1)))
        for target in self._targets:
            first[target + 1] += 1
        for number in range(self.size):
            first[number + 1] += first[number]
        free, sources = array("L", first), array("L", self._sources)
        for source, target in zip(self._sources, self._targets, strict=True):
            sources[free[target]] = source
            free[target] += 1
        return first, sources


def _replay(
    start: State, steps: Callable[[State], Iterable[Step[State]]], choices: list[int]
) -> tuple[tuple[str, ...], State]:
    """Take the chosen steps once more, and return what they say and where they lead."""
    words, state = [], start
    for choice in choices:
        step = next(islice(steps(state), choice, None))
        words.append(step.words)
        state = step.state
    return tuple(words), state
