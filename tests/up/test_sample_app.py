from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]

from infra.sample import DESCRIPTOR_SET, ECHO, REVERSE, SERVICES
from infra.sample.messages import method_of
from infra.sample.server import Pod
from tests.support.processes import Program
from tests.support.waiting import wait_for

STATUS = health_pb2.HealthCheckResponse


@pytest_asyncio.fixture(params=SERVICES)
async def pod(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, Pod, grpc.aio.Channel]]:
    """(service, pod, channel to it)."""
    pod = Pod([request.param], "pod-7")
    address = await pod.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(address) as channel:
        yield request.param, pod, channel
    await pod.stop(delay=0)


def call(channel: grpc.aio.Channel, service: str, content: str) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    method = method_of(service)
    send: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        method.path, lambda message: message.SerializeToString(), method.response.FromString
    )
    return send(method.request(content=content))


async def health_of(channel: grpc.aio.Channel, service: str) -> int:
    check: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest.SerializeToString, STATUS.FromString
    )
    response = await check(health_pb2.HealthCheckRequest(service=service))
    status: int = response.status
    return status


async def follow_until(channel: grpc.aio.Channel, status: int) -> None:
    watch: grpc.aio.UnaryStreamMultiCallable[Any, Any] = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest.SerializeToString, STATUS.FromString
    )
    async for response in watch(health_pb2.HealthCheckRequest(service=ECHO), timeout=30):
        if response.status == status:
            return


@pytest.mark.parametrize("content", ["", "hello", "tide ⇄ gate", "x" * 100_000])
async def test_answers_and_says_its_name(pod: tuple[str, Pod, grpc.aio.Channel], content: str) -> None:
    service, _, channel = pod
    answering = call(channel, service, content)
    response = await answering
    assert response.content == (content if service == ECHO else content[::-1])
    assert (await answering.initial_metadata())["hostname"] == "pod-7"


async def test_health_is_told_for_the_service_and_for_all(pod: tuple[str, Pod, grpc.aio.Channel]) -> None:
    service, app, channel = pod
    for serving, status in ((True, STATUS.SERVING), (False, STATUS.NOT_SERVING), (True, STATUS.SERVING)):
        app.set_serving(serving)
        assert [await health_of(channel, name) for name in ("", service)] == [status, status]
        assert (await call(channel, service, "still answers")).content
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await health_of(channel, "no.such.Service")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


async def test_reflection_tells_the_interface(pod: tuple[str, Pod, grpc.aio.Channel]) -> None:
    service, _, channel = pod
    reflect: grpc.aio.StreamStreamMultiCallable[Any, Any] = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=service),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
    ]
    listing, own, health = [answer async for answer in reflect(iter(questions))]
    named = {each.name for each in listing.list_services_response.service}
    assert named == {service, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    for answer, wanted in ((own, service), (health, "grpc.health.v1.Health")):
        file = FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
        assert wanted in {f"{file.package}.{each.name}" for each in file.service}


async def test_one_pod_can_serve_both_services() -> None:
    pod = Pod(SERVICES, "both")
    address = await pod.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(address) as channel:
        answers = [(await call(channel, service, "abc")).content for service in (ECHO, REVERSE)]
        pod.set_serving(False)
        statuses = [await health_of(channel, name) for name in ("", ECHO, REVERSE)]
    assert answers == ["abc", "cba"]
    assert statuses == [STATUS.NOT_SERVING] * 3
    await pod.stop(delay=0)


async def test_a_port_is_not_shared() -> None:
    first, second = Pod([ECHO], "first"), Pod([REVERSE], "second")
    address = await first.start("127.0.0.1:0")
    with pytest.raises(RuntimeError):
        await second.start(address)
    await first.stop(delay=0)


async def test_signals_turn_a_pod_and_end_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.sample", "--service", ECHO, "--name", "echo-0"]
    with Program(command, tmp_path) as program:
        line = await asyncio.to_thread(
            wait_for, "its address", lambda: [line for line in program.stderr.splitlines() if " on 127" in line]
        )
        async with grpc.aio.insecure_channel(line[0].rpartition(" ")[2]) as channel:
            for number, status in ((signal.SIGUSR1, STATUS.NOT_SERVING), (signal.SIGUSR2, STATUS.SERVING)):
                program.send(number)
                await follow_until(channel, status)
        program.send(signal.SIGTERM)
        assert await asyncio.to_thread(program.finish) == 0


def test_the_descriptor_set_is_that_of_the_interface(tmp_path: Path) -> None:
    fresh = tmp_path / "api.pb"
    folder = DESCRIPTOR_SET.parent
    assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={fresh}", "api.proto"]) == 0
    committed = FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes())
    assert committed == FileDescriptorSet.FromString(fresh.read_bytes()), (
        "api.pb is not of api.proto; in infra/sample run: "
        "python -m grpc_tools.protoc -I. --descriptor_set_out=api.pb api.proto"
    )
