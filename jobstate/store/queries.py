"""Loads the named statements of a ``.sql`` file, and binds one to its parameters."""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Row = tuple[Any, ...]

_SECTION = re.compile(r"^-- (name|fragment): (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n?", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):([a-z]\w*)")
_PASTE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of a statement: its name, its parameters, and how to read what it answers.

    `read` turns the rows into the result, or raises the error that they stand for.
    """

    statement: str
    params: Mapping[str, Any]
    read: Callable[[list[Row]], T]
    otherwise: str | None = None
    """The statement that is asked next, with the same parameters, where this one has no answer."""
    remedy: str | None = None
    """What helps where it is not answered in time, if that is not an outage alone."""

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements, in the order in which they are asked until one has an answer."""
        return (self.statement,) if self.otherwise is None else (self.statement, self.otherwise)


Script = Generator[Operation[Any], Any, T]
"""Operations that belong together: each is sent the answer of the one before."""


def drive(script: Script[T], run: Callable[[Operation[Any]], Any]) -> T:
    """Run the operations of a script one after the other, and return what it returns."""
    answer = None
    try:
        while True:
            answer = run(script.send(answer))
    except StopIteration as end:
        result: T = end.value
        return result


def sections(source: Traversable, values: Mapping[str, str]) -> dict[str, str]:
    """Read the named statements of a file, with ``{name}`` replaced by fragments and `values`."""
    pieces = _SECTION.split(source.read_text(encoding="utf-8"))[1:]
    known = dict(values)
    statements: dict[str, str] = {}
    for kind, name, body in zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=True):
        text = _COMMENT.sub("", body).strip().removesuffix(";")
        text = _PASTE.sub(lambda match: known[match[1]], text)
        (known if kind == "fragment" else statements)[name] = text
    return statements


@cache
def load_queries(schema: str) -> Mapping[str, str]:
    """Read the statements of ``queries.sql`` for one schema, in the driver's own notation."""
    named = sections(files("jobstate.store") / "queries.sql", {"schema": f'"{schema}"'})
    return {name: _PARAMETER.sub(r"%(\1)s", text) for name, text in named.items()}
