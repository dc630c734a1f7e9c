"""Stands where the twin will: takes every call of the Compute API, and answers for pods itself. For `up` alone.

With `--fault exit` it ends at once, with `--fault unready` its load balancer never listens, with `--fault open` that
asks for no token, with `--fault refuse` a call of the API fails.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from infra.announcement import announce
from infra.world.children import Child
from infra.world.layout import Layout

FAULTS = ("none", "exit", "unready", "open", "refuse")
STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1] + ".draft").write_text(str(os.getpid()))
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(600)
"""
"""A process that SIGTERM does not end; it writes its id where its argument says once that holds."""


class FakeTwinMaker:
    """A `TwinMaker` for this very file."""

    def __init__(self, fault: str = "none", spawn: Path | None = None) -> None:
        self._fault = fault
        self._spawn = spawn

    def __call__(self, layout: Layout, api_port: int, port: int, propagation_delay: float) -> Child:
        command = [sys.executable, __file__, "--port", str(api_port), "--fault", self._fault]
        for region in layout.regions:
            command += ["--client-region", region]
        if self._spawn:
            command += ["--spawn", str(self._spawn)]
        return Child("twin", tuple(command), announces=True, vital=True)


class FakeTwin:
    """One load balancer, which is served once its certificate is known."""

    def __init__(self, regions: list[str], fault: str) -> None:
        self._regions = regions
        self._fault = fault
        self._endpoints: set[str] = set()
        self._listen = ""

    async def start(self, port: int) -> str:
        application = web.Application()
        application.router.add_post("/compute/v1/{path:.*}", self._change)
        application.router.add_get("/compute/v1/{path:.*}", self._service)
        application.router.add_get("/twin/v1/listeners", self._listeners)
        application.router.add_get("/twin/v1/traffic", self._traffic)
        return await serve(application, port, None)

    async def _change(self, request: web.Request) -> web.Response:
        path, body = request.path, await request.json()
        if self._fault == "refuse" and path.endswith("/urlMaps"):
            return web.json_response({"error": {"code": 403, "message": "Quota exceeded."}}, status=403)
        named = {f"{each['ipAddress']}:{each['port']}" for each in body.get("networkEndpoints", ())}
        if path.endswith("/attachNetworkEndpoints"):
            self._endpoints |= named
        elif path.endswith("/detachNetworkEndpoints"):
            self._endpoints -= named
        elif path.endswith("/sslCertificates"):
            await self._serve(body["selfManaged"])
        return web.json_response({"status": "DONE"})

    async def _service(self, _: web.Request) -> web.Response:
        return web.json_response({"backends": []})

    async def _serve(self, pair: dict[str, Any]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pair.pem"
            file.write_text(pair["certificate"] + pair["privateKey"])
            context.load_cert_chain(file)
        application = web.Application()
        application.router.add_post("/v1/{service}", self._call)
        self._listen = await serve(application, 0, context)

    async def _call(self, request: web.Request) -> web.Response:
        if "authorization" not in request.headers and self._fault != "open":
            return web.json_response({"code": 401, "message": "Jwt is missing"}, status=401)
        return web.json_response(await request.json())

    async def _listeners(self, _: web.Request) -> web.Response:
        ready = bool(self._listen) and self._fault != "unready"
        fixed = {"address": "203.0.113.1", "port": 443, "protocol": "HTTPS", "listen": self._listen, "ready": ready}
        return web.json_response({"listeners": [{"clientRegion": region, **fixed} for region in self._regions]})

    async def _traffic(self, _: web.Request) -> web.Response:
        fixed = {"health": "HEALTHY", "requestsPerSecond": 0.0, "failuresPerSecond": 0.0}
        endpoints = [{"endpoint": endpoint, **fixed} for endpoint in sorted(self._endpoints)]
        services = [{"clientRegion": region, "groups": [], "endpoints": endpoints} for region in self._regions]
        return web.json_response({"services": services})


async def serve(application: web.Application, port: int, context: ssl.SSLContext | None) -> str:
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    host, bound = runner.addresses[0][:2]
    return f"{host}:{bound}"


async def run(arguments: argparse.Namespace) -> None:
    address = await FakeTwin(arguments.client_region, arguments.fault).start(arguments.port)
    announce(arguments.ready_fd, address)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--client-region", action="append", required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--spawn", type=Path, help="start a stubborn grandchild, which writes its pid here")
    arguments = parser.parse_args()
    if arguments.fault == "exit":
        print("cannot serve: this is the fault that was asked for", flush=True)
        sys.exit(3)
    if arguments.spawn:
        subprocess.Popen([sys.executable, "-c", STUBBORN, str(arguments.spawn)])
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
