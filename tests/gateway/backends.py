"""A grpc.aio server in the test's own event loop, whose calls the test can look into and hold back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

SERVICE = "test.Gate"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
METADATA_LIMIT = [("grpc.max_metadata_size", 128 << 10)]

Context = Any
Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(slots=True)
class Arrived:
    """One call as the backend saw it. `seconds` is what was left of its deadline; `ended` is set at its end."""

    method: str
    metadata: tuple[tuple[str, str | bytes], ...]
    seconds: float | None
    peer: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    def values(self, name: str) -> list[str | bytes]:
        return [value for key, value in self.metadata if key == name]

    def value(self, name: str) -> str | bytes:
        (value,) = self.values(name)
        return value


class Backend:
    """`async with Backend() as backend` serves at `backend.address`; `backend.calls` is what arrived, oldest first.

    `/test.Gate/`: Unary and Bidi echo, Repeat answers as often as the metadata `count` says, Join joins its requests.
    Fail ends as `fail` says. Sleep and Watch wait for `release`, Watch after its initial metadata.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:0",
        options: Sequence[tuple[str, Any]] = (),
        credentials: grpc.ServerCredentials | None = None,
        **server: Any,
    ) -> None:
        self.calls: list[Arrived] = []
        self.release = asyncio.Event()
        self.health = HealthServicer()
        self.fail: Callable[[Context], Any] | None = None
        self._server = grpc.aio.server(
            options=[("grpc.so_reuseport", 0), *UNLIMITED, *METADATA_LIMIT, *options], **server
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        unix = address.startswith("unix:")
        self.address = "unix://" + address[5:] if unix else f"{address.rpartition(':')[0]}:{port}"

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def stop(self, grace: float | None = None) -> None:
        await self._server.stop(grace)

    async def set_health(self, status: str, service: str = "") -> None:
        await self.health.set(service, health_pb2.HealthCheckResponse.ServingStatus.Value(status))

    def _handlers(self) -> grpc.GenericRpcHandler:
        methods: dict[str, Any] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "Repeat": grpc.unary_stream_rpc_method_handler(self._repeat),
            "Join": grpc.stream_unary_rpc_method_handler(self._join),
            "Bidi": grpc.stream_stream_rpc_method_handler(self._bidi),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Sleep": grpc.unary_unary_rpc_method_handler(self._sleep),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _unary(self, request: bytes, context: Context) -> bytes:
        with self._record("Unary", context):
            return request

    async def _repeat(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        with self._record("Repeat", context) as call:
            for _ in range(int(call.values("count")[0]) if call.values("count") else 3):
                yield request

    async def _join(self, requests: AsyncIterator[bytes], context: Context) -> bytes:
        with self._record("Join", context):
            return b"".join([request async for request in requests])

    async def _bidi(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        with self._record("Bidi", context):
            async for request in requests:
                yield request

    async def _fail(self, request: bytes, context: Context) -> bytes:
        with self._record("Fail", context):
            assert self.fail is not None
            await self.fail(context)
            return request

    async def _sleep(self, request: bytes, context: Context) -> bytes:
        with self._record("Sleep", context):
            await self.release.wait()
            return request

    async def _watch(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        with self._record("Watch", context):
            await context.send_initial_metadata(())
            await self.release.wait()
            yield request

    def _record(self, method: str, context: Context) -> _Recording:
        metadata = tuple((key, value) for key, value in context.invocation_metadata())
        call = Arrived(method, metadata, context.time_remaining(), context.peer())
        self.calls.append(call)
        return _Recording(call)


class Counted:
    """Servers, and how many calls each got since the last look."""

    def __init__(self, servers: Sequence[Backend]) -> None:
        self.servers = servers
        self._seen = [0] * len(servers)

    def counts(self) -> list[int]:
        now = [len(server.calls) for server in self.servers]
        since = [after - before for after, before in zip(now, self._seen, strict=True)]
        self._seen = now
        return since


class _Recording:
    def __init__(self, call: Arrived) -> None:
        self._call = call

    def __enter__(self) -> Arrived:
        return self._call

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._call.cancelled = kind is not None and issubclass(kind, asyncio.CancelledError | GeneratorExit)
        self._call.ended.set()


class Client:
    """`async with Client(address) as client`: the methods of Backend over one connection of its own."""

    def __init__(
        self,
        address: str,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
        *,
        transparent_retries: bool = False,
        **channel: Any,
    ) -> None:
        """`transparent_retries`: as grpcio does by default, what never left the client goes over another connection."""
        target = "unix:" + address[7:] if address.startswith("unix://") else address
        known = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", int(transparent_retries)),
            *UNLIMITED,
            *METADATA_LIMIT,
        ]
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(target, options=[*known, *options], **channel)
        else:
            self.channel = grpc.aio.secure_channel(target, credentials, options=[*known, *options], **channel)
        self.unary: Any = self.channel.unary_unary(f"/{SERVICE}/Unary")
        self.repeat: Any = self.channel.unary_stream(f"/{SERVICE}/Repeat")
        self.join: Any = self.channel.stream_unary(f"/{SERVICE}/Join")
        self.bidi: Any = self.channel.stream_stream(f"/{SERVICE}/Bidi")
        self.fail: Any = self.channel.unary_unary(f"/{SERVICE}/Fail")
        self.sleep: Any = self.channel.unary_unary(f"/{SERVICE}/Sleep")
        self.watch: Any = self.channel.unary_stream(f"/{SERVICE}/Watch")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.channel.close()

    def method(self, path: str) -> Any:
        return self.channel.unary_unary(path)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """What an awaited call fails with."""
    try:
        result = await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"succeeded with {result!r}")
