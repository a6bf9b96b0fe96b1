"""A local server starts, answers, keeps what it should, and says what is wrong."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from jobstate.embedded import EmbeddedError, Postgres, Redis
from jobstate.embedded.ports import free_port

QUICK = {"fsync": "off"}
DURABLE = {"appendonly": "yes", "appendfsync": "always"}
ODD_NAME = 'a place\'s "näme" 場所 %d $HOME'


@pytest.fixture(scope="module", params=[Postgres, Redis])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postgres | Redis]:
    directory = tmp_path_factory.mktemp("shared") / ODD_NAME
    kind: type[Postgres | Redis] = request.param
    with kind(directory, settings=QUICK if kind is Postgres else DURABLE) as server:
        yield server


@pytest.fixture
def local(shared: Postgres | Redis) -> Postgres | Redis:
    """A running server that keeps its data."""
    shared.start()
    return shared


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path, settings=QUICK) as server:
        yield server


@pytest.fixture
def stopped(shared: Postgres | Redis) -> Postgres | Redis:
    """A server that does not run, but has data in its directory."""
    shared.start()
    shared.stop()
    return shared


def test_postgres_answers_at_its_url() -> None:
    with Postgres() as postgres:
        assert query(
            postgres,
            "SELECT current_user, current_database(), current_setting('server_encoding'), "
            "current_setting('fsync'), host(inet_server_addr()), inet_server_port()",
        ) == [("jobstate", "jobstate", "UTF8", "on", "127.0.0.1", postgres.port)]


def test_redis_answers_at_its_url() -> None:
    with Redis() as server, closing(redis.Redis.from_url(server.url)) as client:
        assert client.info("server")["process_id"] == server.pid
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_redis_takes_settings_of_several_words() -> None:
    with (
        Redis(settings={"save": "60 1000", "loglevel": "warning"}) as server,
        closing(redis.Redis.from_url(server.url)) as client,
    ):
        assert client.config_get("save") == {"save": "60 1000"}
        assert client.config_get("loglevel") == {"loglevel": "warning"}


def test_the_next_server_on_a_directory_has_its_data_and_settings_of_its_own(
    local: Postgres | Redis,
) -> None:
    remember(local, "across servers")
    local.stop()
    key = "work_mem" if isinstance(local, Postgres) else "maxmemory"
    settings = {**(QUICK if isinstance(local, Postgres) else DURABLE), key: "5MB"}
    with type(local)(home(local), settings=settings) as later:
        assert remembered(later) == "across servers"
        assert setting(later, key) in {"5MB", str(5 * 1024 * 1024)}


def test_a_directory_may_have_any_name(local: Postgres | Redis) -> None:
    assert local.log.parent.name == ODD_NAME
    remember(local, "somewhere odd")
    assert remembered(local) == "somewhere odd"


def test_a_restart_keeps_the_port_and_the_data(local: Postgres | Redis) -> None:
    url, pid = local.url, local.pid
    remember(local, "across a restart")
    local.restart()
    assert local.url == url
    assert local.pid != pid
    assert remembered(local) == "across a restart"


def test_a_stopped_server_starts_again_on_its_port(local: Postgres | Redis) -> None:
    url = local.url
    local.stop()
    assert not local.running
    local.start()
    assert local.url == url


def test_to_start_or_stop_twice_is_to_do_it_once(local: Postgres | Redis) -> None:
    pid = local.pid
    local.start()
    assert local.pid == pid
    local.stop()
    local.stop()
    assert not local.running


def test_after_an_immediate_stop_a_server_recovers_what_was_written(
    local: Postgres | Redis,
) -> None:
    remember(local, "across a crash")
    before = local.log.read_text()
    local.restart(immediate=True)
    assert remembered(local) == "across a crash"
    if isinstance(local, Postgres):
        said = local.log.read_text().removeprefix(before)
        assert "automatic recovery in progress" in said


def test_a_killed_server_starts_again_with_its_data(
    local: Postgres | Redis, eventually: Callable[[Callable[[], object]], None]
) -> None:
    remember(local, "across a kill")
    port = local.port
    os.kill(local.pid, signal.SIGKILL)
    eventually(lambda: not local.running)
    local.start()
    assert local.port == port
    assert remembered(local) == "across a kill"


def test_a_killed_server_can_be_restarted_at_once(local: Postgres | Redis) -> None:
    remember(local, "across a kill")
    os.kill(local.pid, signal.SIGKILL)
    local.restart()
    assert remembered(local) == "across a kill"


def test_postgres_waits_for_the_children_of_a_killed_one(
    postgres: Postgres, eventually: Callable[[Callable[[], object]], None]
) -> None:
    """A backend that has not yet noticed the kill still uses the shared memory."""
    child = psutil.Process(postgres.pid).children()[0]
    child.suspend()
    os.kill(postgres.pid, signal.SIGKILL)
    thread = threading.Thread(target=postgres.restart)
    thread.start()
    eventually(lambda: "pre-existing shared memory block" in postgres.log.read_text())
    child.resume()
    thread.join()
    assert postgres.running


def test_a_directory_in_use_is_refused(
    local: Postgres | Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobstate.embedded.server.LOCK_PATIENCE", 0.1)
    second = type(local)(home(local))
    with pytest.raises(EmbeddedError, match=rf"another server \(process {local.pid}\) uses it"):
        second.start()
    assert local.running


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_temporary_directory_is_removed_at_the_stop(kind: type[Postgres | Redis]) -> None:
    with kind() as local:
        directory = local.log.parent
        assert directory.is_dir()
        local.restart()
        assert local.log.parent == directory
    assert not directory.exists()


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_directory_that_cannot_be_written_is_named(
    kind: type[Postgres | Redis], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(EmbeddedError, match=r"did not start: .*file.* needs a directory"):
        kind(file).start()


def test_a_taken_port_is_named(stopped: Postgres | Redis) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"cannot listen on port {port}"):
            type(stopped)(home(stopped), port=port).start()


def test_another_port_is_chosen_when_the_first_was_taken_in_between(
    stopped: Postgres | Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = [other.getsockname()[1], free_port()]
        monkeypatch.setattr("jobstate.embedded.server.free_port", iter(ports).__next__)
        with type(stopped)(home(stopped)) as server:
            assert server.port == ports[1]


def test_a_server_that_does_not_start_says_why(stopped: Postgres | Redis) -> None:
    key = "work_mem" if isinstance(stopped, Postgres) else "maxmemory"
    server = type(stopped)(home(stopped), settings={key: "much"})
    with pytest.raises(EmbeddedError, match=rf"(?s)its log .* names:\n.*{key}"):
        server.start()
    assert not server.running


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_setting_that_the_url_depends_on_is_refused(kind: type[Postgres | Redis]) -> None:
    for name in ("port", "PORT"):
        with pytest.raises(EmbeddedError, match=f"does not take the setting {name}"):
            kind(settings={name: "1"})


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_port_that_is_none_is_refused(kind: type[Postgres | Redis]) -> None:
    with pytest.raises(EmbeddedError, match="cannot listen on port 65536: a port is a number"):
        kind(port=65_536)


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_server_that_never_ran_has_no_url_process_or_log(kind: type[Postgres | Redis]) -> None:
    local = kind()
    with pytest.raises(EmbeddedError, match=r"has no port: it does not run. Call start\(\)"):
        _ = local.url
    with pytest.raises(EmbeddedError, match="has no process"):
        _ = local.pid
    with pytest.raises(EmbeddedError, match="has no log"):
        _ = local.log


def home(server: Postgres | Redis) -> Path:
    return server.log.parent


def query(postgres: Postgres, statement: str) -> list[tuple[object, ...]]:
    url = postgres.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def setting(server: Postgres | Redis, key: str) -> object:
    if isinstance(server, Postgres):
        return query(server, f"SHOW {key}")[0][0]
    with closing(redis.Redis.from_url(server.url, decode_responses=True)) as client:
        return client.config_get(key)[key]


def remember(server: Postgres | Redis, word: str) -> None:
    if isinstance(server, Postgres):
        query(server, "DROP TABLE IF EXISTS memory")
        query(server, f"CREATE TABLE memory AS VALUES ('{word}')")
    else:
        with closing(redis.Redis.from_url(server.url)) as client:
            client.set("memory", word)


def remembered(server: Postgres | Redis) -> object:
    if isinstance(server, Postgres):
        return query(server, "TABLE memory")[0][0]
    with closing(redis.Redis.from_url(server.url, decode_responses=True)) as client:
        return client.get("memory")
