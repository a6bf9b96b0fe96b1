"""Real HTTP servers on loopback, in threads of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.factories import PATIENCE, eventually


@contextmanager
def asgi_server(app: Any) -> Iterator[str]:
    """Serve an ASGI app by uvicorn; yield its URL."""
    config = uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn", daemon=True)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a stream has kept the server from ending"


class _Quiet(WSGIRequestHandler):
    """Keeps connections open between requests, and prints no line for each."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def wsgi_server(app: Any) -> Iterator[str]:
    """Serve a WSGI app by a thread for each connection; yield its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, name="werkzeug", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
