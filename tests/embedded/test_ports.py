"""A port for a server: one that is free, or a clear word that there is none."""

import socket
from collections.abc import Iterator

import pytest

from jobstate.embedded import ports
from jobstate.embedded.errors import EmbeddedError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_taken(taken: int) -> None:
    assert ports.is_taken(taken)


def test_a_free_port_is_one_that_a_server_may_have() -> None:
    port = ports.free_port()
    assert port in ports.PORTS
    assert not ports.is_taken(port)


def test_a_taken_port_is_never_chosen_even_if_there_is_no_other(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "PORTS", range(taken, taken + 1))
    with pytest.raises(EmbeddedError, match=rf"no free port from {taken} to {taken}: .* port="):
        ports.free_port()
