"""JSON to gRPC: health above all, and the errors on the way."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import h2.events
import h2.settings
import pytest
from google.protobuf import any_pb2, descriptor_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2

from tests.gateway.backends import Backend, Client
from tests.gateway.core import Serving, document
from tests.gateway.raw import GRPC_HEAD, Peer, RawBackend, Response, connect, head_of, http1, message, requests
from tests.support.ports import free_port

CHECK = "grpc.health.v1.Health.Check"
BINDINGS = [{"verb": "GET", "template": "/v1/health"}]
HEALTH = {"name": CHECK, "bindings": BINDINGS}


def descriptors() -> str:
    """api.Shelves: Get(Request) returns Request, with an int64, a repeated string and a nested message."""
    field = descriptor_pb2.FieldDescriptorProto
    request = descriptor_pb2.DescriptorProto(
        name="Request",
        field=[
            field(name="shelf", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL, json_name="shelf"),
            field(name="tags", number=2, type=field.TYPE_STRING, label=field.LABEL_REPEATED, json_name="tags"),
            field(
                name="inner_part",
                number=3,
                type=field.TYPE_MESSAGE,
                type_name=".api.Request",
                label=field.LABEL_OPTIONAL,
                json_name="innerPart",
            ),
        ],
    )
    method = descriptor_pb2.MethodDescriptorProto(name="Get", input_type=".api.Request", output_type=".api.Request")
    file = descriptor_pb2.FileDescriptorProto(
        name="api.proto",
        package="api",
        syntax="proto3",
        message_type=[request],
        service=[descriptor_pb2.ServiceDescriptorProto(name="Shelves", method=[method])],
    )
    return base64.b64encode(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()).decode()


SHELVES = {
    "name": "api.Shelves.Get",
    "bindings": [
        {"verb": "GET", "template": "/v1/shelves/{shelf}"},
        {"verb": "POST", "template": "/v1/shelves/{shelf}", "body": "inner_part"},
    ],
}


def api(address: str, **fields: Any) -> dict[str, Any]:
    return document(address, descriptors=[descriptors()], methods=[SHELVES, HEALTH], **fields)


async def echo(peer: Peer) -> None:
    """Returns each message to its sender."""
    while True:
        request = await requests(peer)
        data = b""
        while True:
            event = await peer.next(h2.events.DataReceived, request.stream_id)
            data += event.data or b""
            if event.stream_ended:
                break
        await peer.answer(request.stream_id, data[5:])


async def health(serving: Serving, path: str = "/v1/health") -> tuple[int, Any]:
    async with await http1(serving.place) as client:
        answer = await client.get(path)
        assert answer.fields["content-type"] == "application/json"
        return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("version", ["http1", "h2"])
async def test_health_follows_the_backend(version: str) -> None:
    async with Backend() as app:
        with Serving(document(app.address, methods=[HEALTH])) as serving:

            async def ask(path: str) -> tuple[int, Any]:
                if version == "http1":
                    return await health(serving, path)
                async with await connect(serving.place) as client:
                    head = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")]
                    await client.send(1, head, end=True)
                    fields = await client.fields(1)
                    body = (await client.next(h2.events.DataReceived, 1)).data
                    return int(fields[":status"]), json.loads(body or b"")

            assert await ask("/v1/health") == (200, {"status": "SERVING"})
            await app.set_health("NOT_SERVING")
            assert await ask("/v1/health") == (503, {"status": "NOT_SERVING"})
            await app.set_health("SERVING")
            assert await ask("/v1/health") == (200, {"status": "SERVING"})
            await app.set_health("SERVING", "shop")
            await app.set_health("UNKNOWN", "new shop")
            assert await ask("/v1/health?service=shop") == (200, {"status": "SERVING"})
            status, body = await ask("/v1/health?service=new%20shop")
            assert (status, body["status"]) == (503, "UNKNOWN")
            status, body = await ask("/v1/health?service=unknown")
            assert status == 503
            assert "SERVING" not in str(body.get("status")).replace("NOT_SERVING", "")


async def test_health_of_a_backend_that_is_down_hung_or_without_health() -> None:
    with Serving(document(f"127.0.0.1:{free_port()}", methods=[HEALTH])) as serving:
        status, body = await health(serving)
        assert (status, body.get("status")) != (200, "SERVING")
        assert status == 503
    with Serving(document({"name": "app", "endpoints": []}, methods=[HEALTH])) as serving:
        assert (await health(serving))[0] == 503

    async def unimplemented(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            head = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")]
            await peer.send(request.stream_id, head, end=True)

    async def garbage(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.send(request.stream_id, GRPC_HEAD, b"garbage" * 10, end=True)

    async def teapot(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.send(request.stream_id, [(":status", "200"), ("content-type", "text/html")], b"<html>", end=True)

    async def hung(peer: Peer) -> None:
        await peer.closed()

    for script in (unimplemented, garbage, teapot, hung):
        async with RawBackend(script) as app:
            limits = {"transcoded_timeout_ms": 300}
            with Serving(document(app.address, methods=[HEALTH], limits=limits)) as serving:
                status, _ = await health(serving)
                assert status == 503, script
                await serving.idle()


async def test_health_while_draining() -> None:
    async with Backend() as app:
        given = document(app.address, methods=[HEALTH], healthz_path="/healthz")
        with Serving(given) as serving:
            async with await http1(serving.place) as client, Client(serving.address) as grpc_client:
                check: Any = grpc_client.channel.unary_unary(
                    "/grpc.health.v1.Health/Check", response_deserializer=health_pb2.HealthCheckResponse.FromString
                )
                assert (await client.get("/healthz")).status == 200
                assert (await check(b"", timeout=30)).status == health_pb2.HealthCheckResponse.SERVING
                serving.core.announce_drain()
                assert (await client.get("/healthz")).status == 503
                answer = await client.get("/v1/health")
                assert (answer.status, json.loads(answer.body)["status"]) == (503, "NOT_SERVING")
                assert (await check(b"", timeout=30)).status == health_pb2.HealthCheckResponse.NOT_SERVING
                assert await grpc_client.unary(b"still served", timeout=30) == b"still served"
            assert serving.number("draining") == 1


async def test_every_method_is_bound_to_its_own_path() -> None:
    async with Backend() as app:
        await app.set_health("SERVING", "shop")
        with Serving(document(app.address, methods=[{"name": CHECK}])) as serving:
            async with await http1(serving.place) as client:
                path = "/grpc.health.v1.Health/Check"
                json_type = "content-type: application/json"
                answer = await client.get(path, json_type, method="POST", body=b'{"service":"shop"}')
                assert (answer.status, json.loads(answer.body)) == (200, {"status": "SERVING"})
                answer = await client.get(path, json_type, method="POST", body=b"")
                assert answer.status == 200


async def test_messages_are_transcoded_both_ways() -> None:
    async with RawBackend(echo) as app:
        with Serving(api(app.address)) as serving:
            async with await http1(serving.place) as client:

                async def call(path: str, body: bytes | None = None) -> Any:
                    fields = () if body is None else ("content-type: application/json",)
                    answer = await client.get(path, *fields, method="GET" if body is None else "POST", body=body)
                    assert answer.status == 200, answer.body
                    return json.loads(answer.body)

                assert await call("/v1/shelves/7") == {"shelf": "7"}
                query = "?tags=a+b&tags=%E2%98%BA&innerPart.shelf=3"
                assert await call("/v1/shelves/7" + query) == {
                    "shelf": "7",
                    "tags": ["a b", "☺"],
                    "innerPart": {"shelf": "3"},
                }
                assert await call("/v1/shelves/9223372036854775807", b'{"shelf": -1}') == {
                    "shelf": "9223372036854775807",
                    "innerPart": {"shelf": "-1"},
                }
                body = {"shelf": "5", "tags": ["x" * 100_000], "innerPart": {"tags": ["y"]}}
                assert await call("/api.Shelves/Get", json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("/v1/shelves/seven", None, "shelf"),
        ("/v1/shelves/7?unknown=1", None, "unknown"),
        ("/v1/shelves/7?shelf.deeper=1", None, "shelf"),
        ("/api.Shelves/Get", b'{"shelf": ', "line 1"),
        ("/api.Shelves/Get", b'{"shelf": "x"}', "shelf"),
        ("/api.Shelves/Get", b"[]", ""),
        ("/api.Shelves/Get", b'{"tags": ["\xff"]}', ""),
        ("/api.Shelves/Get", b"[" * 100_000, ""),
    ],
)
async def test_requests_that_cannot_be_transcoded_are_the_clients_fault(
    path: str, body: bytes | None, hint: str
) -> None:
    async with RawBackend(echo) as app:
        with Serving(api(app.address)) as serving:
            async with await http1(serving.place) as client:
                fields = () if body is None else ("content-type: application/json",)
                answer = await client.get(path, *fields, method="GET" if body is None else "POST", body=body)
                said = json.loads(answer.body)
                assert (answer.status, said["code"]) == (400, 400)
                assert hint in said["message"]
                assert (await client.get("/v1/shelves/1")).status == 200
        assert app.connections == 1


async def test_unknown_paths_and_wrong_methods() -> None:
    async with RawBackend(echo) as app:
        with Serving(api(app.address, unknown_methods="reject")) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get("/v1/nothing")
                assert (answer.status, json.loads(answer.body)["message"]) == (
                    404,
                    "The current request is not defined by this API.",
                )
                answer = await client.get("/v1/shelves/7", method="DELETE")
                assert answer.status == 405
                assert json.loads(answer.body)["message"] == (
                    'The current request is matched to the defined url template "/v1/shelves/{shelf}" but its http '
                    "method is not allowed"
                )
                assert set(answer.fields["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}


async def test_sizes_are_limited() -> None:
    async with RawBackend(echo) as app:
        with Serving(api(app.address, limits={"max_transcoded_bytes": 100_000})) as serving:
            async with await http1(serving.place) as client:
                body = json.dumps({"tags": ["x" * 200_000]}).encode()
                answer = await client.get(
                    "/api.Shelves/Get", "content-type: application/json", method="POST", body=body
                )
                assert (answer.status, json.loads(answer.body)["code"]) == (413, 413)
            await serving.idle()

    async def large(peer: Peer) -> None:
        request = await requests(peer)
        await peer.send(request.stream_id, GRPC_HEAD, message(bytes(60_000)))
        await peer.closed()

    async with RawBackend(large) as app:
        with Serving(api(app.address, limits={"max_transcoded_bytes": 50_000})) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get("/v1/shelves/1")
                assert 500 <= answer.status < 600
            await serving.idle()


def failing(*fields: tuple[str, str], trailers: bool = False) -> Any:
    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            if trailers:
                await peer.send(request.stream_id, GRPC_HEAD)
                await peer.send(request.stream_id, fields, end=True)
            else:
                head = [(":status", "200"), ("content-type", "application/grpc"), *fields]
                await peer.send(request.stream_id, head, end=True)

    return script


async def get(serving: Serving, path: str = "/v1/shelves/1") -> Response:
    async with await http1(serving.place) as client:
        return await client.get(path)


@pytest.mark.parametrize("trailers", [False, True])
async def test_grpc_errors_become_http_errors(trailers: bool) -> None:
    expected = [499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
    for code, status in enumerate(expected, start=1):
        script = failing(
            ("grpc-status", str(code)), ("grpc-message", "it%20is 100%25 wrong %E2%98%BA"), trailers=trailers
        )
        async with RawBackend(script) as app:
            with Serving(api(app.address)) as serving:
                answer = await get(serving)
                assert answer.status == status
                assert json.loads(answer.body) == {"code": code, "message": "it is 100% wrong ☺"}


async def test_details_of_errors_are_shown() -> None:
    details = any_pb2.Any()
    details.Pack(error_details_pb2.ErrorInfo(reason="OUT_OF_SHELVES", domain="api"))
    packed = status_pb2.Status(code=8, message="no shelf", details=[details]).SerializeToString()
    text = base64.b64encode(packed).decode().rstrip("=")
    script = failing(("grpc-status", "8"), ("grpc-message", "no shelf"), ("grpc-status-details-bin", text))
    async with RawBackend(script) as app:
        with Serving(api(app.address)) as serving:
            answer = await get(serving)
            assert answer.status == 429
            said = json.loads(answer.body)
            assert (said["code"], said["message"]) == (8, "no shelf")
            assert len(said["details"]) == 1


async def test_an_ok_without_a_message_is_no_success() -> None:
    async with RawBackend(failing(("grpc-status", "0"))) as app:
        with Serving(api(app.address)) as serving:
            assert (await get(serving)).status >= 500


async def test_json_clients_and_grpc_clients_share_a_connection() -> None:
    """Many of both at once, over one upstream connection."""
    async with RawBackend(echo) as app:
        with Serving(api(app.address)) as serving:
            async with Client(serving.address) as client:

                async def over_json(number: int) -> None:
                    async with await http1(serving.place) as plain:
                        answer = await plain.get(f"/v1/shelves/{number}")
                        assert json.loads(answer.body) == ({"shelf": str(number)} if number else {})

                async def over_grpc(number: int) -> None:
                    body = bytes([8, number])
                    assert await client.method("/api.Shelves/Get")(body, timeout=30) == body

                await asyncio.gather(*(job(number) for number in range(50) for job in (over_json, over_grpc)))
            await serving.idle()
        assert app.connections == 1


async def test_metadata_of_a_transcoded_call() -> None:
    heads: list[dict[str, str]] = []

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        heads.append(head_of(request))
        await peer.answer(request.stream_id)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(api(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.get("/v1/shelves/1", "x-custom: kept", "accept-encoding: gzip", "authorization: Bearer x")
    (head,) = heads
    assert (head[":method"], head[":path"], head["te"]) == ("POST", "/api.Shelves/Get", "trailers")
    assert head["content-type"].startswith("application/grpc")
    assert head["x-custom"] == "kept"
    assert head["x-forwarded-for"] == "127.0.0.1"
    assert "grpc-timeout" in head
