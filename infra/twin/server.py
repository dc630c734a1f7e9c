"""The twin's HTTP server: Google's end points, and the twin's own pages under /twin/v1/."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from aiohttp import web

from infra.twin import credentials, faults
from infra.twin.api import batch
from infra.twin.api.call import Answer, Request
from infra.twin.api.dispatch import Api
from infra.twin.engine import Engine
from infra.twin.faults import CutError, Interruption
from infra.twin.front_end import report
from infra.twin.front_end.front_end import FrontEnd
from infra.twin.intake import BODY, Intake, refusal
from infra.twin.quota import ReadQuota
from infra.twin.read_json import read_json
from infra.twin.store import Store, StoreError

log = logging.getLogger("tidegate.twin")

LONGEST_WAIT = 120.0
"""Seconds after which a `wait` answers with what there is (Google's figure)."""

MOST_WAITING = 1024
"""Connections that the kernel holds until they are accepted."""

MOST_LOGGED = 1_000
"""Lines of the log in one answer."""


class TwinServer:
    """Serves until it is closed. `authority` is the certificate of who signs managed ones, PEM."""

    def __init__(
        self,
        api: Api,
        engine: Engine,
        store: Store,
        quota: ReadQuota,
        tokens: credentials.Tokens,
        project: str,
        front_end: FrontEnd,
        *,
        authority: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._engine = engine
        self._store = store
        self._quota = quota
        self._tokens = tokens
        self._now = now
        self._front_end = front_end
        self._authority = authority
        self._interruption = Interruption()
        engine.settings.interrupt = self._interruption
        application = web.Application(middlewares=[Intake().middleware])
        application.router.add_route("*", "/compute/v1/{path:.*}", self._compute)
        application.router.add_post("/batch/compute/v1", self._batch)
        application.router.add_get("/twin/v1/requests", self._requests)
        application.router.add_get("/twin/v1/faults", self._show_faults)
        application.router.add_post("/twin/v1/faults", self._set_faults)
        application.router.add_get("/twin/v1/listeners", self._listeners)
        application.router.add_get("/twin/v1/traffic", self._traffic)
        application.router.add_get("/twin/v1/ca.pem", self._ca)
        application.router.add_routes(credentials.routes(tokens, project))
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def start(self, host: str, port: int) -> str:
        """Returns `host:port` with the port that was taken. OSError: none can be."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=MOST_WAITING)
        await site.start()
        address = self._runner.addresses[0]
        return f"{address[0]}:{address[1]}"

    async def aclose(self) -> None:
        """Ends with the requests that are under way, a second later at most."""
        await self._runner.cleanup()

    async def _compute(self, received: web.Request) -> web.StreamResponse:
        verb, query, body = _meant(received)
        try:
            return _response(await self._take(received, verb, received.raw_path.partition("?")[0], query, body))
        except CutError:
            return _cut(received)

    async def _batch(self, received: web.Request) -> web.StreamResponse:
        try:
            parts = batch.read(received.headers.get("Content-Type", ""), received[BODY])
        except ValueError as error:
            return refusal(400, "badRequest", f"{error}.")
        answers = []
        try:
            for part in parts:
                path, _, query = part.target.partition("?")
                answers.append((part, await self._take(received, part.verb, path, query, part.body)))
        except CutError:
            return _cut(received)
        kind = f"multipart/mixed; boundary={batch.BOUNDARY}"
        return web.Response(body=batch.write(answers), headers={"Content-Type": kind})

    async def _take(self, received: web.Request, verb: str, path: str, query: str, body: bytes) -> Answer:
        """CutError: the connection is to be cut instead."""
        request = Request(
            verb=verb,
            path=path.removeprefix("/compute/v1/"),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            body=body,
            base=f"{received.scheme}://{received.host}/compute/v1",
            now=self._now(),
        )
        if self._tokens.required and not self._tokens.is_good(received.headers.get("Authorization", "")):
            return _error(401, "global", "authError", "Request had invalid authentication credentials.")
        try:
            answer = await self._answer(request)
        except StoreError as error:
            log.error("%s", error)
            answer = _error(503, "global", "backendError", str(error))
        self._log(request, answer)
        return answer

    async def _answer(self, request: Request) -> Answer:
        if request.verb == "GET" and not self._quota.take(request.now):
            message = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute'."
            return _error(403, "usageLimits", "rateLimitExceeded", message)
        due = self._api.due(request)
        if due is not None:
            await asyncio.sleep(min(max(0.0, due - request.now), LONGEST_WAIT))
            request = replace(request, now=max(self._now(), min(due, request.now + LONGEST_WAIT)))
        return self._api.answer(request)

    def _log(self, request: Request, answer: Answer) -> None:
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

    async def _listeners(self, _: web.Request) -> web.Response:
        return web.json_response(report.listeners(self._front_end))

    async def _traffic(self, _: web.Request) -> web.Response:
        return web.json_response(report.traffic(self._front_end))

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(text=self._authority, content_type="application/x-pem-file")

    async def _requests(self, received: web.Request) -> web.Response:
        after = received.query.get("after", "0")
        first = int(after) if re.fullmatch("[0-9]{1,18}", after) else 0
        return web.json_response({"requests": self._store.requests(first, MOST_LOGGED)})

    async def _show_faults(self, _: web.Request) -> web.Response:
        waiting = len(self._engine.settings.failures)
        body = {"mutations": self._engine.mutations, "operations": waiting, "interrupt": self._interruption.json()}
        return web.json_response(body)

    async def _set_faults(self, received: web.Request) -> web.Response:
        try:
            wanted = faults.read(read_json(received[BODY]))
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        faults.arm(wanted, self._engine, self._interruption)
        return await self._show_faults(received)


def _cut(received: web.Request) -> web.Response:
    if received.transport is not None:
        received.transport.abort()
    return web.Response(status=500)


def _meant(received: web.Request) -> tuple[str, str, bytes]:
    """(verb, query, body). A POST can say by a header what it stands for; with GET its form is the query: Google's
    clients send long ones so."""
    query, body = received.rel_url.raw_query_string, received[BODY]
    verb = received.headers.get("X-HTTP-Method-Override", "").upper()
    if received.method != "POST" or not verb:
        return received.method, query, body
    if verb == "GET" and received.content_type == "application/x-www-form-urlencoded":
        return verb, "&".join(filter(None, (query, body.decode(errors="replace")))), b""
    return verb, query, body


def _response(answer: Answer) -> web.Response:
    text = json.dumps(answer.body, indent=2) + "\n"
    return web.Response(status=answer.status, text=text, content_type="application/json", headers=answer.headers)


def _error(code: int, domain: str, reason: str, message: str) -> Answer:
    errors = [{"domain": domain, "reason": reason, "message": message}]
    return Answer(code, {"error": {"code": code, "message": message, "errors": errors}})
