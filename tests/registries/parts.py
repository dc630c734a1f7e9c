"""Real registries on loopback, a way to cut a client off from them, and a gateway that finds its backends there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from gateway import Gateway, GatewayConfig
from gateway.configuration import model
from gateway.discover.schemes import open_source
from gateway.discover.source import Failed, Found, Settings, Update
from tests.gateway.backends import Backend, Client
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.waiting import wait_for


def ask(url: str, message: Any = None, *, method: str = "POST", headers: dict[str, str] | None = None) -> Any:
    """The JSON that an HTTP server answers with; None: nothing. Raises urllib.error.HTTPError."""
    body = None if message is None else json.dumps(message).encode()
    request = urllib.request.Request(url, body, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def answers(url: str) -> bool:
    """Whether something that is no error comes from there."""
    try:
        ask(url, method="GET")
    except (OSError, ValueError):
        return False
    return True


class _Registry:
    """`with` starts the program; `stop` kills it, `start` starts it again on the same ports."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.options = list(options)
        self.address = f"127.0.0.1:{free_port()}"
        self._others = [free_port() for _ in range(4)]
        self._program: Program | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self, data: str = "data") -> None:
        """`data` names its folder: another one is an empty registry."""
        self.spawn(data)
        self.await_ready()

    def spawn(self, data: str = "data") -> None:
        """Starts it without waiting: a member of a cluster needs the others."""
        self._program = Program(self.command(self.folder / data), self.folder)

    def await_ready(self) -> None:
        try:
            wait_for("the registry", self.ready)
        except BaseException:
            print(self.process.stderr[-4000:], self.process.stdout[-4000:])
            self.stop()
            raise

    def stop(self) -> None:
        if self._program is not None:
            self._program.__exit__()
            self._program = None

    @property
    def process(self) -> Program:
        assert self._program is not None
        return self._program

    def command(self, data: Path) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError


class EtcdServer(_Registry):
    """Debian's etcd, one member."""

    @property
    def peer(self) -> str:
        """Where other members reach it."""
        return f"http://127.0.0.1:{self._others[0]}"

    def command(self, data: Path) -> list[str]:
        client, peer = f"http://{self.address}", self.peer
        return [
            "etcd",
            f"--data-dir={data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            *self.options,
        ]

    def ready(self) -> bool:
        return answers(f"http://{self.address}/health")

    def call(self, method: str, message: dict[str, Any], token: str = "") -> Any:
        headers = {"Authorization": token} if token else {}
        return ask(f"http://{self.address}/v3/{method}", message, headers=headers)

    def put(self, key: str, value: str, lease: str = "0", token: str = "") -> int:
        """The revision."""
        answer = self.call("kv/put", {"key": text(key), "value": text(value), "lease": lease}, token)
        return int(answer["header"]["revision"])

    def delete(self, key: str) -> None:
        self.call("kv/deleterange", {"key": text(key)})

    def get(self, key: str) -> str | None:
        found = self.call("kv/range", {"key": text(key)}).get("kvs")
        return base64.b64decode(found[0]["value"]).decode() if found else None


class ConsulAgent(_Registry):
    """A server in one process, with its data in memory."""

    def command(self, data: Path) -> list[str]:
        http, server, lan = self.address.rpartition(":")[2], self._others[0], self._others[1]
        return [
            "consul",
            "agent",
            "-dev",
            "-bind=127.0.0.1",
            f"-http-port={http}",
            "-grpc-port=-1",
            "-dns-port=-1",
            f"-server-port={server}",
            f"-serf-lan-port={lan}",
            "-serf-wan-port=-1",
            "-log-level=warn",
            *self.options,
        ]

    def ready(self) -> bool:
        try:
            leader: str = self.call("GET", "status/leader")
        except OSError:
            return False
        return bool(leader)

    def call(self, method: str, path: str, message: Any = None, token: str = "") -> Any:
        headers = {"X-Consul-Token": token} if token else {}
        return ask(f"http://{self.address}/v1/{path}", message, method=method, headers=headers)

    def register(self, name: str, address: str, token: str = "", **fields: Any) -> None:
        host, _, port = address.rpartition(":")
        message = {"Name": "echo", "ID": name, "Address": host, "Port": int(port), **fields}
        self.call("PUT", "agent/service/register", message, token)

    def deregister(self, name: str) -> None:
        self.call("PUT", f"agent/service/deregister/{name}")

    def instances(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "agent/services")
        return found


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


class Line:
    """`async with Line(address) as line`: a relay at `line.address` to `address`. `cut` moves no more bytes and tells
    nobody, as a router that drops packets; `heal` takes new connections again, those cut stay dead."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._open = True
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.cut()
        for writer in self._writers:
            writer.transport.abort()

    def cut(self) -> None:
        self._open = False
        for pump in self._pumps:
            pump.cancel()

    def heal(self) -> None:
        self._open = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if not self._open:
            return
        try:
            there, far = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(far)
        for source, sink in ((reader, far), (there, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()


class Followed:
    """`async with Followed(target) as source`: what a source says, from its first update on."""

    def __init__(self, target: str) -> None:
        self._source = open_source(target, Settings())
        self.updates: list[Update] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _follow(self) -> None:
        async for update in self._source.watch():
            self.updates.append(update)

    @property
    def endpoints(self) -> list[tuple[str, int]] | None:
        """Address and weight of what was found last; None: nothing was ever."""
        found = [update for update in self.updates if isinstance(update, Found)]
        return sorted((one.address, one.weight) for one in found[-1].endpoints) if found else None

    @property
    def hint(self) -> str:
        return self.updates[-1].hint if self.updates and isinstance(self.updates[-1], Found) else ""

    @property
    def trouble(self) -> str:
        """Why the last question failed; "": it did not."""
        return self.updates[-1].reason if self.updates and isinstance(self.updates[-1], Failed) else ""


class Traffic:
    """`async with Traffic(target) as traffic`: a gateway that finds its backends at `target`, and a client of it."""

    def __init__(self, target: str) -> None:
        self._config = GatewayConfig(
            listeners=(model.Listener("main", "127.0.0.1:0"),),
            backends=(model.Backend("app", (target,)),),
            routes=(model.Route("all", (("app", 1),)),),
            access_log=model.AccessLog(path=""),
            admin=model.Admin(port=0),
            workers=1,
        )
        self.gateway = Gateway(self._config)

    async def __aenter__(self) -> Self:
        await self.gateway.__aenter__()
        self.client = Client(self.gateway.addresses["main"])
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.channel.close()
        await self.gateway.__aexit__(None, None, None)

    async def reaches(self, *backends: Backend) -> None:
        """Waits until calls are answered by each of these backends and by no other."""
        async with asyncio.timeout(60):
            while True:
                before = {backend: len(backend.calls) for backend in backends}
                try:
                    for _ in range(4 * len(backends)):
                        await self.client.unary(b"x", timeout=30, wait_for_ready=True)
                except Exception as error:
                    if "UNAVAILABLE" not in str(error):
                        raise
                    await asyncio.sleep(0.02)
                    continue
                arrived = {backend: len(backend.calls) - before[backend] for backend in backends}
                if sum(arrived.values()) == 4 * len(backends) and all(arrived.values()):
                    return
                await asyncio.sleep(0.02)
