"""What happens without each rule: the shortest trace to a violation, as a page of docs/."""

import ast
import inspect
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.model import faults
from tests.model.checking import Fault, check
from tests.model.promises import BREACHES, Breach, take_without_lease
from tests.model.search import Found
from tests.model.world import Pool, Rules, World

PAGE = Path(__file__).parents[2] / "docs" / "traces.md"

_HEAD = (
    "# What each rule is for",
    "",
    "<!-- Written by python -m tests.model --write; a test compares. -->",
    "",
    "The protocol of [the life of a job](lifecycle.md) is checked as a small model: one job, what",
    "follows it, two processes that may run it, a sweeper, and a broker that delays, duplicates",
    "and loses. A search visits every state that a few faults can lead to. With all rules, all",
    "promises are kept, and from each state the job still lands. Without a rule, this is the",
    "shortest way to a broken one.",
    "",
    "| rule | without it |",
    "| --- | --- |",
)


class Example(NamedTuple):
    """A rule, and the circumstances that show best what it is for."""

    rule: str
    world: World
    kinds: Sequence[Fault] = ()
    faults: int = 1
    breaches: Mapping[str, Breach] = BREACHES

    def without(self) -> Found | None:
        """Return the shortest violation when this rule is switched off, and no other."""
        rules = self.world.rules._replace(**{self.rule: False})
        return self._check(self.world._replace(rules=rules))

    def with_rule(self) -> Found | None:
        """Return what is violated in the same circumstances with the rule: nothing."""
        return self._check(self.world)

    def _check(self, world: World) -> Found | None:
        return check(world, self.faults, self.kinds, self.breaches).found


ONCE = World()
AGAIN = World(idempotent=True)
ADOPTED = World(idempotent=True, adopted=True)
PARTIAL = World(keep_partial=True)
PROCESSES = World(pool=Pool.PROCESSES)
THREADS = World(pool=Pool.THREADS)

HARM = {words: breach for words, breach in BREACHES.items() if breach is not take_without_lease}
"""Not the take without a lease itself, but what comes of it."""

EXAMPLES = (
    Example("ticket", ONCE, (faults.duplicate, faults.retry), 2),
    Example("heir_ticket", ONCE, (faults.replace, faults.submit_again), 2),
    Example("row_first", ONCE, (faults.retry,)),
    Example("canvas", ONCE, (faults.replace, faults.kill), 2),
    Example("adopted_message", ADOPTED, (faults.kill,)),
    Example("fence", AGAIN, (faults.pause,)),
    Example("silence", ONCE, (faults.pause,)),
    Example("quiet_release", AGAIN, (faults.pause, faults.replace), 2),
    Example("match", ONCE, (faults.kill,)),
    Example("own_process", PROCESSES, (faults.duplicate, faults.time_limit), 2),
    Example("lease", ONCE, (faults.pause,), breaches=HARM),
    Example("pending", AGAIN, (faults.kill,)),
    Example("kept_follow_ups", PARTIAL, (faults.kill,)),
    Example("frozen_ids", ONCE),
    Example("errbacks_wait", ONCE, (faults.kill,)),
    Example("burial", ONCE, (faults.pause,)),
    Example("patience", ONCE, (faults.outage,)),
    Example("own_take", THREADS, (faults.duplicate,)),
    Example("own_landing", PARTIAL, (faults.pause,)),
    Example("idle_holds", ONCE),
    Example("no_ban", PROCESSES, (faults.cancel,)),
)
"""One for each rule."""


def page() -> str:
    """Write the page."""
    meanings = _docstrings(Rules)
    rows = (
        f"| {_marked(meanings[example.rule])} | {_told(example.without())} |"
        for example in EXAMPLES
    )
    return "\n".join([*_HEAD, *rows, ""])


def _marked(meaning: str) -> str:
    letter, words = meaning.split(" ", 1)
    return f"**{letter}** {words}"


def _told(found: Found | None) -> str:
    if found is None:
        return "Nothing."
    return f"*{found.what.capitalize()}:* {' · '.join(found.trace)}"


def _docstrings(cls: type) -> dict[str, str]:
    """Read what is written below each field of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0].body
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
