"""How long an endpoint goes on getting calls after its app said NOT_SERVING: `make bench-not-serving`.

Two servers behind a gateway, paced load, and FLIPS times one of them says NOT_SERVING at a random moment. Measured is
the time from then to the last call that arrives there; servers and load are one process, so it is one clock. Beside it
Envoy, which asks by Check: with an interval of a second it knows half a second later on average.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc

from healthcheck.server import HealthServer
from tests.bench.peers.envoy import EXTENSIONS, Envoy, socket_address, typed_config
from tests.bench.process import free_port, listening
from tests.gateway.core import until

FLIPS = 50
CALLS_PER_SECOND = 200
INTERVAL = 1.0
CALM = 0.25
"""Seconds without a call after which an endpoint counts as out: 25 times as long as between two calls that it gets."""
GOAL = 0.050
PATH = "/bench.App/Call"


class Server:
    """Notes when the last call arrived."""

    async def __aenter__(self) -> Self:
        self.calls = 0
        self.last = 0.0
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers: dict[str, Any] = {"Call": grpc.unary_unary_rpc_method_handler(self._call)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.App", handlers),))
        self.health = await HealthServer.attach(server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.health.stop(0, 0)

    def has(self, calls: int) -> bool:
        return self.calls >= calls

    def is_calm(self, since: float) -> bool:
        return time.monotonic() - max(self.last, since) >= CALM

    async def _call(self, request: bytes, context: Any) -> bytes:
        self.calls += 1
        self.last = time.monotonic()
        return request


class Load:
    """`CALLS_PER_SECOND`, whatever becomes of them; `failed` counts those that did not succeed."""

    def __init__(self, port: int) -> None:
        self.failed = 0
        self._port = port

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self._port}")
        await self._channel.channel_ready()
        self._pacing = asyncio.create_task(self._pace())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._pacing.cancel()
        await asyncio.wait([self._pacing])
        await self._channel.close()

    async def _pace(self) -> None:
        call: Any = self._channel.unary_unary(PATH)
        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            while True:
                due += 1 / CALLS_PER_SECOND
                await asyncio.sleep(due - time.monotonic())
                group.create_task(self._call(call))

    async def _call(self, call: Any) -> None:
        try:
            await call(b"", timeout=10)
        except grpc.aio.AioRpcError:
            self.failed += 1


async def measure(port: int, servers: list[Server]) -> tuple[list[float], int]:
    """(seconds from each NOT_SERVING to the last call after it, calls that failed)."""
    delays = []
    async with Load(port) as load:
        for turn in range(FLIPS):
            for server in servers:
                await until("calls", partial(server.has, server.calls + 20))
            await asyncio.sleep(random.uniform(0, INTERVAL))
            server = servers[turn % 2]
            said = time.monotonic()
            server.health.set("", False)
            await until("the last call", partial(server.is_calm, said))
            delays.append(max(0.0, server.last - said))
            server.health.set("", True)
    return delays, load.failed


def tidegate(folder: Path, listen: int, backends: list[int]) -> list[str]:
    """Damping is off: an app that flips fifty times a minute is what it is for."""
    spec = {
        "listeners": [{"name": "main", "address": f"127.0.0.1:{listen}"}],
        "backends": [
            {
                "name": "app",
                "targets": [f"127.0.0.1:{port}" for port in backends],
                "healthCheck": {"interval": f"{INTERVAL:g}s", "flapDamping": False},
            }
        ],
        "accessLog": {"path": "off"},
        "admin": {"port": 0},
        "drain": {"delay": "0s"},
        "workers": 1,
    }
    path = folder / "gateway.yaml"
    path.write_text(json.dumps({"apiVersion": "tidegate.dev/v1", "kind": "Gateway", "spec": spec}))
    return [sys.executable, "-m", "infra.cli.main", "gateway", "--config", str(path)]


def envoy(folder: Path, listen: int, backends: list[int]) -> list[str]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    check = {
        "timeout": "1s",
        "interval": f"{INTERVAL:g}s",
        "no_traffic_interval": f"{INTERVAL:g}s",
        "unhealthy_threshold": 3,
        "healthy_threshold": 2,
        "grpc_health_check": {},
    }
    cluster = {
        "name": "app",
        "type": "STATIC",
        "health_checks": [check],
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "app",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(port)}} for port in backends]}],
        },
    }
    manager = typed_config(
        "envoy.filters.network.http_connection_manager",
        f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        codec_type="AUTO",
        route_config={
            "virtual_hosts": [
                {
                    "name": "bench",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}],
                }
            ]
        },
        http_filters=[
            typed_config("envoy.filters.http.router", f"{EXTENSIONS}.filters.http.router.v3.Router"),
        ],
    )
    listener = {"name": "bench", "address": socket_address(listen), "filter_chains": [{"filters": [manager]}]}
    path = folder / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    program = Envoy().program_path()
    return [program, "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


async def main() -> int:
    """Prints the table; 1: the median is above the goal, or a call failed."""
    missed = False
    print(f"{'from NOT_SERVING to the last call':36}{'median':>10}{'worst':>10}{'calls failed':>14}")
    for name, command in (("Tidegate, Watch", tidegate), (f"Envoy, Check every {INTERVAL:g} s", envoy)):
        if command is envoy and (lacking := Envoy().missing()):
            print(f"skipped: {lacking}")
            continue
        async with Server() as a, Server() as b:
            with tempfile.TemporaryDirectory() as folder:
                port, place = free_port(), Path(folder)
                with listening(command(place, port, [a.port, b.port]), port, place / "log"):
                    delays, failed = await measure(port, [a, b])
        median = statistics.median(delays)
        missed |= command is tidegate and (median > GOAL or failed > 0)
        print(f"{name:36}{median * 1e3:>7.1f} ms{max(delays) * 1e3:>7.1f} ms{failed:>14}", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
