"""Speaks, over real HTTP, the part of the Kubernetes API that discovery uses, and fails as a test wishes."""

from __future__ import annotations

import asyncio
import copy
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
ENDPOINTS = "/api/v1/namespaces/shop/endpoints"
SERVICES = "/api/v1/namespaces/shop/services"
COLLECTIONS = {
    "EndpointSlice": SLICES,
    "Endpoints": ENDPOINTS,
    "Service": SERVICES,
}


@dataclass(frozen=True, slots=True)
class Asked:
    verb: str
    resource: str
    version: str
    token: str


@dataclass(slots=True)
class Refusal:
    status: int
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiServer:
    """`async with ApiServer() as server` serves the namespace `shop` at `server.url`; `server.asked` is what came.

    As the real one it gives every change a version of the whole store, watches begin behind a version, and one that is
    older than `compact` says is refused.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.refusals: dict[tuple[str, str], Refusal] = {}
        """What (verb, resource) is answered with, instead."""
        self.tokens: set[str] | None = None
        """Those that are accepted; None: nobody is asked for one."""
        self.gone_by_status = False
        """Whether a version that is too old is refused by HTTP status, or by an event behind status 200."""
        self.split = 0
        """Events are written in pieces of so many bytes."""
        self.version = 100
        self._tls = tls
        self._oldest = 0
        self._objects: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in COLLECTIONS.values()}
        self._history: list[tuple[int, str, str, dict[str, Any]]] = []
        self._watches: set[_Watch] = set()
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Again at the same port, after `stop`."""
        application = web.Application()
        for path in COLLECTIONS.values():
            application.router.add_get(path, self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.end_watches()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def put(self, *documents: Mapping[str, Any]) -> None:
        for document in documents:
            path = COLLECTIONS[document["kind"]]
            name = document["metadata"]["name"]
            kind = "MODIFIED" if name in self._objects[path] else "ADDED"
            stored = copy.deepcopy(dict(document))
            self._objects[path][name] = stored
            self._happen(path, kind, stored)

    def delete(self, kind: str, name: str) -> None:
        path = COLLECTIONS[kind]
        self._happen(path, "DELETED", copy.deepcopy(self._objects[path].pop(name)))

    def bookmark(self) -> None:
        """The version goes on without a change of what is watched, and watches are told."""
        self.version += 10
        for watch in self._watches:
            watch.events.put_nowait(("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))

    def compact(self) -> None:
        """Forgets what happened before the next change."""
        self.version += 1
        self._oldest = self.version

    def end_watches(self) -> None:
        for watch in self._watches:
            watch.events.put_nowait(None)

    def break_watches(self) -> None:
        """As when the server is killed."""
        for watch in self._watches:
            watch.abort()

    def say(self, text: bytes) -> None:
        """Whatever it is, in all watches."""
        for watch in self._watches:
            watch.events.put_nowait(text)

    def watching(self, resource: str) -> int:
        return sum(watch.resource == resource for watch in self._watches)

    def count(self, verb: str, resource: str) -> int:
        return sum((asked.verb, asked.resource) == (verb, resource) for asked in self.asked)

    def _happen(self, path: str, kind: str, document: dict[str, Any]) -> None:
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self._history.append((self.version, path, kind, document))
        for watch in self._watches:
            if watch.path == path and watch.selects(document):
                watch.events.put_nowait((kind, document))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        resource = request.path.rpartition("/")[2]
        verb = "watch" if request.query.get("watch") == "true" else "list"
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append(Asked(verb, resource, request.query.get("resourceVersion", ""), token))
        if self.tokens is not None and token not in self.tokens:
            return _status(Refusal(401, "Unauthorized"))
        if (refusal := self.refusals.get((verb, resource))) is not None:
            return _status(refusal)
        if verb == "watch":
            return await self._watch(request, resource)
        selects = _selector(request)
        items = [document for document in self._objects[request.path].values() if selects(document)]
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    async def _watch(self, request: web.Request, resource: str) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        gone = since < self._oldest
        if gone and self.gone_by_status:
            return _status(Refusal(410, "too old resource version"))
        watch = _Watch(request, resource)
        for version, path, kind, document in self._history:
            if version > since and path == request.path and watch.selects(document):
                watch.events.put_nowait((kind, document))
        if gone:
            watch.events = asyncio.Queue()
            watch.events.put_nowait(("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}))
            watch.events.put_nowait(None)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._watches.add(watch)
        try:
            while (event := await watch.events.get()) is not None:
                text = event if isinstance(event, bytes) else _line(*event)
                for begin in range(0, len(text), self.split or len(text)):
                    await response.write(text[begin : begin + (self.split or len(text))])
                    await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            self._watches.discard(watch)
        return response


class _Watch:
    def __init__(self, request: web.Request, resource: str) -> None:
        self.path = request.path
        self.resource = resource
        self.selects = _selector(request)
        self.events: asyncio.Queue[tuple[str, dict[str, Any]] | bytes | None] = asyncio.Queue()
        self._request = request

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()
        self.events.put_nowait(None)


def _selector(request: web.Request) -> Any:
    label, _, value = request.query.get("labelSelector", "").partition("=")
    field_name, _, name = request.query.get("fieldSelector", "").partition("=")
    assert field_name in ("", "metadata.name")
    assert label or field_name

    def selects(document: Mapping[str, Any]) -> bool:
        metadata = document["metadata"]
        if label:
            return bool(metadata.get("labels", {}).get(label) == value)
        return bool(metadata["name"] == name)

    return selects


def _line(kind: str, document: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": document}).encode() + b"\n"


def _status(refusal: Refusal) -> web.Response:
    document = {"kind": "Status", "code": refusal.status, "message": refusal.message}
    return web.json_response(document, status=refusal.status, headers=refusal.headers)
