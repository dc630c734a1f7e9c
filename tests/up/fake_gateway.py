"""Stands where the gateway will: answers as it would, without reading a token. For tests of `tidegate up` alone.

With `--fault exit` it ends at once, with `--fault unready` it is never ready, with `--fault open` it asks for no token.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

from aiohttp import web

from infra.world.children import Child
from infra.world.layout import GatewayPlan

STUBBORN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1] + ".draft").write_text(str(os.getpid()))
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(600)
"""
"""A process that SIGTERM does not end; it writes its id where its argument says once that holds."""


class FakeGateway:
    """A `GatewayMaker` for this very file."""

    def __init__(self, fault: str = "none", spawn: Path | None = None) -> None:
        self._fault = fault
        self._spawn = spawn

    def __call__(self, plan: GatewayPlan) -> Child:
        ports = ("--port", str(plan.port), "--admin-port", str(plan.admin_port))
        spawn = ("--spawn", str(self._spawn)) if self._spawn else ()
        return Child("gateway", (sys.executable, __file__, *ports, "--fault", self._fault, *spawn))


async def ready(request: web.Request) -> web.Response:
    return web.Response(status=503 if request.app["fault"] == "unready" else 200)


async def health(_: web.Request) -> web.Response:
    return web.json_response({"status": "SERVING"})


async def call(request: web.Request) -> web.Response:
    if "authorization" not in request.headers and request.app["fault"] != "open":
        return web.json_response({"code": 401, "message": "Jwt is missing"}, status=401)
    return web.json_response(await request.json())


async def serve(arguments: argparse.Namespace) -> None:
    front, admin = web.Application(), web.Application()
    for application in (front, admin):
        application["fault"] = arguments.fault
    front.add_routes([web.get("/v1/health", health), web.post("/v1/echo", call), web.post("/v1/reverse", call)])
    admin.add_routes([web.get("/readyz", ready)])
    for application, port in ((front, arguments.port), (admin, arguments.admin_port)):
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--admin-port", type=int, required=True)
    parser.add_argument("--fault", choices=("none", "exit", "unready", "open"), default="none")
    parser.add_argument("--spawn", type=Path, help="start a stubborn grandchild, which writes its pid here")
    arguments = parser.parse_args()
    if arguments.fault == "exit":
        print("cannot serve: this is the fault that was asked for", flush=True)
        sys.exit(3)
    if arguments.spawn:
        subprocess.Popen([sys.executable, "-c", STUBBORN, str(arguments.spawn)])
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
