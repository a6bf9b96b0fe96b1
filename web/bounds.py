"""Keeps requests small before anything of them is stored."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses bodies of more than so many bytes, also those that do not say how long they are."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count what is received of it."""
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)

    def _too_large(self) -> HTTPException:
        most = self._max_bytes // 1024**2
        return HTTPException(413, f"That is too much: at most {most} MB are taken at once.")
