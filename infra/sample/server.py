"""One pod of the sample app: a gRPC server with some of its services, health and reflection.

SIGUSR1 makes the pod NOT_SERVING and SIGUSR2 SERVING again, so that a demonstration can turn its health from outside.
Calls are answered all the while, as those of a real pod are that would rather not get more of them. SIGTERM does the
same for a moment before the pod ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from healthcheck.server import HealthServer
from infra.announcement import announce
from infra.sample import ECHO, REVERSE
from infra.sample.controls import Controls, Crowded, serve_controls
from infra.sample.messages import Method, descriptor_pool, method_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

_log = logging.getLogger(__name__)

HOSTNAME_HEADER = "hostname"
DELAY_SECONDS = 0.5
GRACE_SECONDS = 2.0

_ANSWERS: dict[str, Callable[[str], str]] = {ECHO: lambda content: content, REVERSE: lambda content: content[::-1]}


class Pod:
    """Serves `services` and says `name` in each answer's `hostname` header."""

    def __init__(self, services: Sequence[str], name: str) -> None:
        """KeyError: no such service."""
        self._services = services
        self.controls = Controls()
        # A second pod on the same port is a mistake to report, not half of its connections to take.
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        pool = descriptor_pool()
        handlers = [_unary_handler(service, name, method_of(service, pool), self.controls) for service in services]
        self._server.add_generic_rpc_handlers(handlers)
        for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            pool.Add(FileDescriptorProto.FromString(file.serialized_pb))
        reflected = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self._server, pool)

    async def start(self, address: str) -> str:
        """Serves on `host:port` and returns it with the port filled in. RuntimeError: it cannot be bound."""
        host, _, _ = address.rpartition(":")
        port = self._server.add_insecure_port(address)
        self._health = await HealthServer.attach(self._server, services=self._services)
        await self._server.start()
        return f"{host}:{port}"

    def set_serving(self, serving: bool) -> None:
        for service in self._services:
            self._health.set(service, serving)

    async def stop(self, delay: float = DELAY_SECONDS) -> None:
        """Says NOT_SERVING; `delay` seconds later refuses new calls and gives open ones two seconds."""
        await self._health.stop(delay, GRACE_SECONDS)


def _unary_handler(service: str, name: str, method: Method, controls: Controls) -> grpc.GenericRpcHandler:
    answer = _ANSWERS[service]

    async def respond(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
        try:
            async with controls.turn():
                await context.send_initial_metadata(((HOSTNAME_HEADER, name),))
                return method.response(content=answer(request.content))
        except Crowded:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls wait for their turn")

    handler: grpc.RpcMethodHandler[Any, Message] = grpc.unary_unary_rpc_method_handler(
        respond, method.request.FromString, _serialize
    )
    return grpc.method_handlers_generic_handler(service, {method.path.rpartition("/")[2]: handler})


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


async def run(
    services: Sequence[str], name: str, address: str, ready_descriptor: int | None, control: Path | None = None
) -> None:
    """Serves until SIGTERM or SIGINT. `control`: where the socket of its controls is to be; None for none."""
    pod = Pod(services, name)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def turn(serving: bool) -> None:
        pod.set_serving(serving)
        _log.info("%s is %s", name, "SERVING" if serving else "NOT_SERVING")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bound = await pod.start(address)
    loop.add_signal_handler(signal.SIGUSR1, turn, False)
    loop.add_signal_handler(signal.SIGUSR2, turn, True)
    _log.info("%s serves %s on %s", name, ", ".join(services), bound)
    async with serve_controls(control, pod.controls) if control else contextlib.nullcontext():
        announce(ready_descriptor, bound)
        await stop.wait()
        await pod.stop()
