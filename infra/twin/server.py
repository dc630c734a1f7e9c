"""The twin's HTTP server: the Compute API under /compute/v1/, and the twin's own pages under /twin/v1/."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from aiohttp import web

from infra.twin.api.call import MOST_BODY, Answer, Request
from infra.twin.api.dispatch import Api
from infra.twin.quota import ReadQuota
from infra.twin.store import Store

LONGEST_WAIT = 120.0
"""Seconds after which a `wait` answers with what there is (Google's figure)."""

MOST_LOGGED = 1_000
"""Lines of the log in one answer."""


class CutError(Exception):
    """The connection is to be cut instead of answered."""


class TwinServer:
    """Serves until it is closed."""

    def __init__(self, api: Api, store: Store, quota: ReadQuota, now: Callable[[], float] = time.time) -> None:
        self._api = api
        self._store = store
        self._quota = quota
        self._now = now
        application = web.Application(client_max_size=MOST_BODY)
        application.router.add_route("*", "/compute/v1/{path:.*}", self._compute)
        application.router.add_get("/twin/v1/requests", self._requests)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> str:
        """Returns `host:port` with the port that was taken. OSError: none can be."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        return f"{address[0]}:{address[1]}"

    async def aclose(self) -> None:
        """Ends with the requests that are under way, a second later at most."""
        await self._runner.cleanup()

    async def _compute(self, received: web.Request) -> web.StreamResponse:
        try:
            body = await received.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(_too_large())
        request = Request(
            verb=received.method,
            path=received.raw_path.partition("?")[0].removeprefix("/compute/v1/"),
            query=dict(parse_qsl(received.query_string, keep_blank_values=True)),
            body=body,
            base=f"{received.scheme}://{received.host}/compute/v1",
            now=self._now(),
        )
        try:
            answer = await self._answer(request)
        except CutError:
            if received.transport is not None:
                received.transport.abort()
            raise
        self._store.log(
            {
                "time": request.now,
                "verb": request.verb,
                "path": request.path,
                "query": dict(request.query),
                "status": answer.status,
                "ignored": answer.ignored,
                "nulls": answer.nulls,
            }
        )
        return _response(answer)

    async def _answer(self, request: Request) -> Answer:
        if request.verb == "GET" and not self._quota.take(request.now):
            return _rate_limited()
        due = self._api.due(request)
        if due is not None:
            await asyncio.sleep(min(max(0.0, due - request.now), LONGEST_WAIT))
            request = Request(
                request.verb, request.path, request.query, request.body, request.base, max(self._now(), request.now)
            )
        return self._api.answer(request)

    async def _requests(self, received: web.Request) -> web.Response:
        after = received.query.get("after", "0")
        first = int(after) if after.isascii() and after.isdigit() else 0
        return web.json_response({"requests": self._store.requests(first, MOST_LOGGED)})


def _response(answer: Answer) -> web.Response:
    text = json.dumps(answer.body, indent=2) + "\n"
    return web.Response(status=answer.status, text=text, content_type="application/json", headers=answer.headers)


def _too_large() -> Answer:
    message = f"Request payload size exceeds the limit: {MOST_BODY} bytes."
    errors = [{"domain": "global", "reason": "uploadTooLarge", "message": message}]
    return Answer(413, {"error": {"code": 413, "message": message, "errors": errors}})


def _rate_limited() -> Answer:
    message = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'."
    errors = [{"domain": "usageLimits", "reason": "rateLimitExceeded", "message": message}]
    return Answer(403, {"error": {"code": 403, "message": message, "errors": errors}})
