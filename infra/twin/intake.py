"""How much of what clients send is taken in at once: so many bytes of a body, so many large bodies, so long.

Bodies are read here and not by aiohttp's `read`, which keeps them as long as anything refers to the request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

MOST_BODY = 4 << 20
"""Bytes of a request's body."""

SMALL_BODY = 64 << 10
"""Bytes up to which a body needs no turn: aiohttp holds as much of each connection anyway."""

MOST_LARGE = 16
"""Large bodies that are read and answered at the same time; others wait for their turn."""

LONGEST_READ = 30.0
"""Seconds from the begin to the end of a small body."""

LONGEST_TURN = 5.0
"""Seconds from the begin to the end of a large one, whose client keeps others waiting."""

BODY = web.RequestKey("body", bytes)
"""Where a handler finds the request's body."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Intake:
    """Reads each request's body before its handler begins, which finds it at `BODY`. One for each server."""

    def __init__(self, longest_read: float = LONGEST_READ, longest_turn: float = LONGEST_TURN) -> None:
        self._longest_read = longest_read
        self._longest_turn = longest_turn
        self._turns = asyncio.Semaphore(MOST_LARGE)

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def read_first(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        return read_first

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        length = request.content_length
        if length is not None and length > MOST_BODY:
            return _too_large()
        if not request.can_read_body or (length is not None and length <= SMALL_BODY):
            return await _read(request, handler, self._longest_read)
        async with self._turns:
            return await _read(request, handler, self._longest_turn)


async def _read(request: web.Request, handler: Handler, seconds: float) -> web.StreamResponse:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > MOST_BODY:
                    return _too_large()
    except TimeoutError:
        message = f"The body did not come within {seconds:g} seconds."
        return refusal(408, "requestTimeout", message)
    request[BODY] = bytes(body)
    body.clear()
    try:
        return await handler(request)
    finally:
        del request[BODY]


def _too_large() -> web.Response:
    return refusal(413, "uploadTooLarge", f"The body is over {MOST_BODY} bytes long.")


def refusal(code: int, reason: str, message: str) -> web.Response:
    """An error in Google's shape."""
    errors = [{"domain": "global", "reason": reason, "message": message}]
    body = {"error": {"code": code, "message": message, "errors": errors}}
    return web.Response(status=code, text=json.dumps(body) + "\n", content_type="application/json")
