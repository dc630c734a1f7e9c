"""One pod of the sample app: a gRPC server with one service, health and reflection.

SIGUSR1 makes the pod NOT_SERVING and SIGUSR2 SERVING again, so that a demonstration can turn its health from outside.
Calls are answered all the while, as those of a real pod are that would rather not get more of them.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from infra.announcement import announce
from infra.sample import ECHO, REVERSE
from infra.sample.messages import Method, descriptor_pool, method_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

_log = logging.getLogger(__name__)

HOSTNAME_HEADER = "hostname"
GRACE_SECONDS = 2.0

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_ANSWERS: dict[str, Callable[[str], str]] = {ECHO: lambda content: content, REVERSE: lambda content: content[::-1]}


class Pod:
    """Serves `service` and says `name` in each answer's `hostname` header."""

    def __init__(self, service: str, name: str) -> None:
        """KeyError: no such service."""
        self._service = service
        self._health = health.aio.HealthServicer()
        # A second pod on the same port is a mistake to report, not half of its connections to take.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        pool = descriptor_pool()
        handler = _unary_handler(service, name, method_of(service, pool))
        self._server.add_generic_rpc_handlers((handler,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            pool.Add(FileDescriptorProto.FromString(file.serialized_pb))
        reflection.enable_server_reflection((service, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server, pool)

    async def start(self, address: str) -> str:
        """Serves on `host:port` and returns it with the port filled in. RuntimeError: it cannot be bound."""
        host, _, _ = address.rpartition(":")
        port = self._server.add_insecure_port(address)
        await self._server.start()
        await self.set_serving(True)
        return f"{host}:{port}"

    async def set_serving(self, serving: bool) -> None:
        for name in ("", self._service):
            await self._health.set(name, SERVING if serving else NOT_SERVING)

    async def stop(self) -> None:
        """Refuses new calls and gives open ones two seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(GRACE_SECONDS)


def _unary_handler(service: str, name: str, method: Method) -> grpc.GenericRpcHandler:
    answer = _ANSWERS[service]

    async def respond(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        await context.send_initial_metadata(((HOSTNAME_HEADER, name),))
        return method.response(content=answer(request.content))

    handler: grpc.RpcMethodHandler[Any, Message] = grpc.unary_unary_rpc_method_handler(
        respond, method.request.FromString, _serialize
    )
    return grpc.method_handlers_generic_handler(service, {method.path.rpartition("/")[2]: handler})


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def run(service: str, name: str, address: str, ready_descriptor: int | None) -> None:
    """Serves until SIGTERM or SIGINT."""
    pod = Pod(service, name)
    stop = asyncio.Event()
    changes: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, changes.put_nowait, False)
    loop.add_signal_handler(signal.SIGUSR2, changes.put_nowait, True)
    bound = await pod.start(address)
    _log.info("%s serves %s on %s", name, service, bound)
    announce(ready_descriptor, bound)

    async def follow() -> None:
        while True:
            serving = await changes.get()
            await pod.set_serving(serving)
            _log.info("%s is %s", name, "SERVING" if serving else "NOT_SERVING")

    follower = asyncio.create_task(follow())
    await stop.wait()
    follower.cancel()
    await pod.stop()
