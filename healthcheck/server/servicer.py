"""The three methods of `grpc.health.v1.Health`, on the messages and the registration of grpcio-health-checking.

Its own asyncio servicer answers no List, and writes to a watcher while it holds the lock that a change of status needs:
one client that opens a Watch and no flow control window stops every change of that service, shutdown too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

from healthcheck.server.statuses import SERVICE_UNKNOWN, Statuses

LIST_LIMIT = 100
"""Of how many services List tells, as in grpc-go's server; gRFC A90 leaves the number to the server."""

_LIST_RESPONSE = cast("Descriptor", health_pb2.DESCRIPTOR.message_types_by_name["HealthListResponse"])
_ListResponse: type[Message] = GetMessageClass(_LIST_RESPONSE)

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_Context = grpc.aio.ServicerContext[Any, Any]


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers from `statuses`; see grpc/health/v1/health.proto for what each method promises."""

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    async def Check(self, request: health_pb2.HealthCheckRequest, context: _Context) -> health_pb2.HealthCheckResponse:  # noqa: N802
        """NOT_FOUND: no such service."""
        status = self._statuses.all.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return health_pb2.HealthCheckResponse(status=status)

    async def List(self, request: Message, context: _Context) -> Message:  # noqa: N802
        """RESOURCE_EXHAUSTED: there are more than `LIST_LIMIT` services."""
        statuses = self._statuses.all
        if len(statuses) > LIST_LIMIT:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {LIST_LIMIT} services; use Check")
        response: Any = _ListResponse()
        for service, status in statuses.items():
            response.statuses[service].status = status
        return response  # type: ignore[no-any-return]

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802
        """Tells each change until the client leaves; UNAVAILABLE ends it once the server stops."""
        told = None
        with self._statuses.watch(request.service) as news:
            while True:
                news.clear()
                status = self._statuses.all.get(request.service, SERVICE_UNKNOWN)
                if status != told:
                    await context.write(health_pb2.HealthCheckResponse(status=status))
                    told = status
                    continue
                if self._statuses.closed:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")
                await news.wait()
