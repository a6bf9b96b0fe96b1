"""Every statement has a name, a purpose and a use, and fits the schema."""

import ast
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus

import jobstate
from jobstate.store.queries import load_queries, sections

PACKAGE = Path(jobstate.__file__).parent

NAMES = sorted(load_queries("jobstate"))

SQL = re.compile(
    r"\A\s*(select\s.+?\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|alter\s+table"
    r"|create\s+(unique\s+)?(table|index|trigger|function|schema)|with\s+\w+\s+as\s*\()\b",
    re.IGNORECASE | re.DOTALL,
)

# The statements of the schema and of the embedded server are no work on jobs.
ELSEWHERE = ("store/migrations/", "store/tables.py", "embedded/", "cli/demo")


def sources() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def texts(source: Path) -> Iterator[str]:
    """Find the string literals of a file that are no docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


@pytest.fixture(scope="module")
def words() -> set[str]:
    """Every string in the library."""
    return {text for source in sources() for text in texts(source)}


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_used(words: set[str], name: str) -> None:
    assert name in words


def numbered(statement: str) -> bytes:
    """Write the parameters as the server knows them."""
    names: dict[str, int] = {}
    return re.sub(
        r"%\((\w+)\)s",
        lambda match: f"${names.setdefault(match[1], len(names) + 1)}",
        statement,
    ).encode()


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_fits_the_schema(
    connect: Callable[[], psycopg.Connection], name: str
) -> None:
    answer = connect().pgconn.prepare(b"", numbered(load_queries("jobstate")[name]))
    assert answer.status == ExecStatus.COMMAND_OK, answer.error_message.decode()


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_short_enough_for_the_drivers_cache(name: str) -> None:
    assert len(load_queries("jobstate")[name]) < 4096


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_says_what_it_is_for(name: str) -> None:
    source = (files("jobstate.store") / "queries.sql").read_text(encoding="utf-8")
    assert re.search(rf"^-- name: {name}\n-- [A-Z].+\.$", source, re.MULTILINE) or re.search(
        rf"^-- name: {name}\n(-- .+\n)+", source, re.MULTILINE
    )


def test_statements_are_found_for_any_schema() -> None:
    statements = load_queries("order")
    assert set(statements) == set(NAMES)
    settings_alone = {
        "batch_moment",
        "begin",
        "bound_idleness",
        "current_transaction",
        "server_clock",
        "server_process",
    }
    named = {name for name, text in statements.items() if '"order".' in text}
    assert set(statements) - named == settings_alone
    assert not any("jobstate" in text for text in statements.values())


def test_no_other_file_has_sql() -> None:
    found = [
        (str(source.relative_to(PACKAGE)), text)
        for source in sources()
        if not source.relative_to(PACKAGE).as_posix().startswith(ELSEWHERE)
        for text in texts(source)
        if SQL.match(text)
    ]
    assert found == []


def test_the_search_would_find_sql() -> None:
    """Or the rule above would prove nothing."""
    for text in ("select 1 from jobs", "UPDATE jobs SET a = 1", "delete from jobs where a"):
        assert SQL.match(text)


def test_fragments_are_pasted_and_comments_dropped(tmp_path: Path) -> None:
    source = tmp_path / "some.sql"
    source.write_text(
        "-- about the file\n"
        "-- fragment: columns\n-- Which.\n  a, b\n"
        "-- name: first\n-- Why.\nselect {columns} from {schema}.t where a = 'x--y'; \n"
        "-- name: second\nselect 1\n"
    )
    assert sections(source, {"schema": '"s"'}) == {
        "first": "select a, b from \"s\".t where a = 'x--y'",
        "second": "select 1",
    }


def test_an_unknown_fragment_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "some.sql"
    source.write_text("-- name: first\nselect {nothing};\n")
    with pytest.raises(KeyError, match="nothing"):
        sections(source, {})
