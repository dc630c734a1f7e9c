"""The admin server: one port, probes and metrics for everybody, pages with details for those whom `access` lets see."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import metadata, resources

from aiohttp import web

from gateway.admin.access import may_see_details
from gateway.admin.clusters import clusters
from gateway.admin.endpoints_status import endpoints_status
from gateway.admin.facts import Subject, readiness
from gateway.admin.probes import Liveness, report
from gateway.admin.redact import configuration
from gateway.admin.status import status
from gateway.problems import GatewayError

IDLE_TIME_OUT = 15.0
BACKLOG = 128
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(subject: Subject, opened: str | None) -> web.Application:
    """The pages of `subject`; `opened` is the address on which those with details are shown beside loopback."""
    pages = _Pages(subject)
    app = web.Application()
    for path, public in {
        "/livez": pages.livez,
        "/readyz": pages.readyz,
        "/healthz": pages.readyz,
        "/metrics": pages.metrics,
        "/endpoints_status": pages.endpoints_status,
    }.items():
        app.router.add_get(path, public)
    for path, detailed in {
        "/": pages.page,
        "/status.json": pages.status,
        "/config": pages.config,
        "/clients": pages.clients,
        "/clusters": pages.clusters,
    }.items():
        app.router.add_get(path, _guarded(detailed, opened))
    return app


class AdminServer:
    """Serves `application` from `start` to `aclose`."""

    def __init__(self, subject: Subject, port: int, opened: str | None) -> None:
        self._runner = web.AppRunner(
            application(subject, opened),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=IDLE_TIME_OUT,
            shutdown_timeout=0.0,
        )
        self._port = port

    async def start(self) -> str:
        """Returns the address that is bound. GatewayError: it cannot be."""
        await self._runner.setup()
        try:
            listener = _listen(self._port)
        except OSError as error:
            await self._runner.cleanup()
            advice = "Choose another --status_port, or 0 for none."
            raise GatewayError([f"The status port {self._port} cannot be bound: {error.strerror}. {advice}"]) from None
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        host, port = listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def aclose(self) -> None:
        await self._runner.cleanup()


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:
            pass
    return socket.create_server(("0.0.0.0", port))


class _Pages:
    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._liveness = Liveness(subject.core)

    async def livez(self, request: web.Request) -> web.Response:
        code, text = report("livez", await self._liveness.check(), "verbose" in request.query)
        return web.Response(status=code, text=text, headers=HEADERS)

    async def readyz(self, request: web.Request) -> web.Response:
        code, text = report("readyz", readiness(self._subject.facts()), "verbose" in request.query)
        return web.Response(status=code, text=text, headers=HEADERS)

    async def metrics(self, request: web.Request) -> web.Response:
        from gateway.admin.metrics import exposition

        accept = request.headers.get("Accept", "")
        facts, version = self._subject.facts(), product_version()
        body, content_type = await asyncio.to_thread(exposition, self._subject.core, facts, accept, version)
        response = web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})
        response.enable_compression()
        return response

    async def endpoints_status(self, request: web.Request) -> web.Response:
        return _json(endpoints_status(self._subject.facts(), self._subject.core, product_version()))

    async def page(self, request: web.Request) -> web.Response:
        text, policy = _page()
        return web.Response(text=text, content_type="text/html", headers={**HEADERS, "Content-Security-Policy": policy})

    async def status(self, request: web.Request) -> web.Response:
        facts, version = self._subject.facts(), product_version()
        return _json(await asyncio.to_thread(status, facts, self._subject.core, version))

    async def config(self, request: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(configuration, self._subject.facts()))

    async def clusters(self, request: web.Request) -> web.Response:
        facts = self._subject.facts()
        return _json(await asyncio.to_thread(clusters, facts, self._subject.core))

    async def clients(self, request: web.Request) -> web.Response:
        text = await asyncio.to_thread(self._subject.core.clients)
        return web.Response(text=text, content_type="application/json", headers=HEADERS)


def _guarded(handler: Handler, opened: str | None) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        local = request.transport.get_extra_info("sockname") if request.transport is not None else None
        refusal = may_see_details(str(local[0]) if local else "", request.headers.get("Host", ""), opened)
        if refusal is not None:
            return web.Response(status=403, text=refusal + "\n", headers=HEADERS)
        return await handler(request)

    return guarded


def _json(value: object) -> web.Response:
    return web.Response(text=json.dumps(value, indent=2), content_type="application/json", headers=HEADERS)


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets it run its own script and style and nothing else."""
    text = resources.files("gateway.admin").joinpath("page.html").read_text(encoding="utf-8")
    script, style = _digest("script", text), _digest("style", text)
    policy = (
        f"default-src 'none'; connect-src 'self'; script-src 'sha256-{script}'; style-src 'sha256-{style}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def _digest(element: str, text: str) -> str:
    found = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    content = "" if found is None else found[1]
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


@cache
def product_version() -> str:
    """The version that is installed; "0" in a tree that is not."""
    try:
        return metadata.version("tidegate")
    except metadata.PackageNotFoundError:
        return "0"
