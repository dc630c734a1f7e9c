"""A real gRPC server for tests: all four kinds of call on plain bytes, health, and a record of what arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = "test.Kinds"
STATUS_KEY = "test-status"
"""Request metadata: the number of the status that the call ends with, after its answers."""
COUNT_KEY = "test-count"
"""Request metadata: how often ServerStream answers (3)."""
NAME_HEADER = "backend-name"


@dataclass(frozen=True, slots=True)
class Call:
    """`seconds` is what was left of the deadline when the call arrived; None: it had none."""

    method: str
    metadata: dict[str, str | bytes]
    seconds: float | None


class GrpcBackend:
    """`with GrpcBackend("a") as backend` serves at `backend.address`; `backend.calls` is what arrived, oldest first.

    `/test.Kinds/` has Unary and Bidi, which echo, ServerStream, which repeats, and ClientStream, which joins.
    """

    def __init__(
        self,
        name: str = "backend",
        options: Sequence[tuple[str, Any]] = (),
        credentials: grpc.ServerCredentials | None = None,
        address: str = "127.0.0.1:0",
    ) -> None:
        """`options` are grpcio's, such as ("grpc.max_connection_age_ms", 500)."""
        self.name = name
        self.calls: list[Call] = []
        self.health = health.HealthServicer()
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=64), options=[("grpc.so_reuseport", 0), *unlimited, *options]
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        self.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.stop(None).wait()

    def set_serving(self, serving: bool, service: str = "") -> None:
        status = health_pb2.HealthCheckResponse
        self.health.set(service, status.SERVING if serving else status.NOT_SERVING)

    def _handlers(self) -> grpc.GenericRpcHandler:
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self._server_stream),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self._client_stream),
            "Bidi": grpc.stream_stream_rpc_method_handler(self._bidi),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._begin("Unary", context)
        return request

    def _server_stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = self._begin("ServerStream", context)
        for _ in range(int(metadata.get(COUNT_KEY, 3))):
            yield request

    def _client_stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._begin("ClientStream", context)
        return b"".join(requests)

    def _bidi(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._begin("Bidi", context)
        yield from requests

    def _begin(self, method: str, context: grpc.ServicerContext) -> dict[str, str | bytes]:
        metadata = dict[str, str | bytes](context.invocation_metadata())
        self.calls.append(Call(method, metadata, context.time_remaining()))
        context.send_initial_metadata(((NAME_HEADER, self.name),))
        number = int(metadata.get(STATUS_KEY, 0))
        if number:
            context.set_code(next(code for code in grpc.StatusCode if code.value[0] == number))
            context.set_details("as the test asked")
        return metadata
