"""`metrics`: figures for Prometheus."""

import socketserver
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from jobstate.cli.ending import ended_by_sigterm
from jobstate.cli.target import Target
from jobstate.errors import ConfigurationError


@click.command()
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=9464,
    show_default=True,
    help="Where to listen; 0 for any free port.",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="On which address to listen.",
)
@click.pass_obj
def metrics(target: Target, *, port: int, address: str) -> None:
    """Answer GET /metrics for Prometheus, until Ctrl-C.

    Run one for a database: each counts what happens from its own start on.
    """
    try:
        from jobstate.metrics import wsgi_app  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ConfigurationError(
            f"Metrics cannot be shown: {error}. They need prometheus-client. "
            "Install jobstate[metrics]."
        ) from error
    with target.service() as service:
        try:
            server = make_server(address, port, wsgi_app(service), _Server, _Quiet)
        except OSError as error:
            raise click.ClickException(
                f"Nobody can listen on {address}, port {port}: {error.strerror}. "
                "Choose another --port or --address."
            ) from error
        with server, ended_by_sigterm():
            click.echo(f"Metrics: http://{address}:{server.server_port}/metrics")
            server.serve_forever()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    # The name is that of the standard library.
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing of each scrape."""
