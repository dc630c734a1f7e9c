"""The load generator against real servers."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.load.generator import Load, Settings
from infra.load.kinds import Kind, kind_of
from infra.load.pace import Pace
from infra.load.tally import Tally, percentile
from infra.sample import ECHO
from infra.sample.messages import method_of
from infra.sample.server import Pod
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.waiting import LONG_SECONDS, wait_for

REGIONS = ("us-central1", "europe-west1", "asia-east1")


def settings(targets: dict[str, str], rate: float = 200.0, deadline: float = LONG_SECONDS, **rest: Any) -> Settings:
    return Settings(targets, rate, rest.pop("certificate", None), rest.pop("token", lambda: ""), deadline, **rest)


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def sample_pod(name: str) -> AsyncIterator[str]:
    """Its address."""
    pod = Pod([ECHO], name)
    address = await pod.start("127.0.0.1:0")
    try:
        yield address
    finally:
        await pod.stop(delay=0)


async def test_every_region_calls_as_often_and_pods_are_counted() -> None:
    async with sample_pod("echo-0") as first, sample_pod("echo-1") as second:
        targets = dict(zip(REGIONS, (first, second, second), strict=True))
        started = time.monotonic()
        async with Load(settings(targets)) as load:
            await until(lambda: load.ok >= 60)
    assert load.sent == load.ok
    assert (load.failed, load.failures) == (0, [])
    taken = load.take()
    sent = [taken[region].sent for region in REGIONS]
    assert max(sent) - min(sent) <= 1
    assert taken[REGIONS[0]].pods == {"echo-0": sent[0]}
    assert taken[REGIONS[1]].pods == {"echo-1": sent[1]}
    assert sum(tally.sent for tally in load.take().values()) == 0
    assert started <= min(load.last_answers.values())
    assert set(load.last_answers) == {"echo-0", "echo-1"}


async def failed(targets: dict[str, str], **rest: Any) -> Load:
    """A load of which some calls have failed."""
    async with Load(settings(targets, **rest)) as load:
        await until(lambda: load.failed >= 3)
    assert load.failed == load.sent - load.ok == len(load.failures)
    assert all(failure.region == "us-central1" and failure.started <= failure.ended for failure in load.failures)
    return load


async def test_nobody_there_is_a_failure_to_connect() -> None:
    load = await failed({"us-central1": f"127.0.0.1:{free_port()}"})
    assert {failure.kind for failure in load.failures} == {Kind.CONNECT}, load.failures[0]


async def test_a_call_without_an_answer_misses_its_deadline() -> None:
    async with sample_pod("echo-0") as address:
        async with Load(settings({"us-central1": address})) as load:
            await until(lambda: load.ok > 0)
    async with raw_server(lambda connection, stream: None) as address:
        load = await failed({"us-central1": address}, deadline=0.1)
    assert {failure.kind for failure in load.failures} == {Kind.DEADLINE}, load.failures[0]


def _refuse(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.reset_stream(stream, error_code=7)


def _go_away(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.close_connection(last_stream_id=0)


def _reset(connection: h2.connection.H2Connection, stream: int) -> None:
    connection.reset_stream(stream, error_code=2)


def _unavailable(connection: h2.connection.H2Connection, stream: int) -> None:
    fields = [("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", "no healthy upstream")]
    connection.send_headers(stream, [(":status", "200"), *fields], end_stream=True)


@pytest.mark.parametrize(
    ("answer", "kind"), [(_refuse, Kind.REFUSED), (_go_away, Kind.REFUSED), (_unavailable, Kind.REFUSED)]
)
async def test_what_nobody_worked_on_is_refused(answer: Callable[..., None], kind: Kind) -> None:
    async with raw_server(answer) as address:
        load = await failed({"us-central1": address})
    assert {failure.kind for failure in load.failures} <= {kind, Kind.CONNECT}, load.failures[:3]
    assert kind in {failure.kind for failure in load.failures}


async def test_a_stream_that_breaks_may_have_been_worked_on() -> None:
    async with raw_server(_reset) as address:
        load = await failed({"us-central1": address})
    assert not any(failure.kind.retriable for failure in load.failures), load.failures[0]


@asynccontextmanager
async def raw_server(answer: Callable[[h2.connection.H2Connection, int], None]) -> AsyncIterator[str]:
    """HTTP/2 in cleartext that does to each request what `answer` says; its address."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while received := await reader.read(65536):
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.RequestReceived):
                    answer(connection, event.stream_id)
            writer.write(connection.data_to_send())
            if connection.state_machine.state == h2.connection.ConnectionState.CLOSED:
                break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_tls_with_the_authority_and_a_token(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("api.tidegate.test")
    seen: set[Any] = set()

    async def echo(request: bytes, context: Any) -> bytes:
        seen.add(dict(context.invocation_metadata()).get("authorization"))
        return request

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ECHO, handlers),))
    assert method_of(ECHO).path == f"/{ECHO}/Echo"
    pair = (files.key.read_bytes(), files.chain.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    targets = {"us-central1": f"127.0.0.1:{port}"}
    async with Load(settings(targets, certificate=authority.ca.read_bytes(), token=lambda: "secret")) as load:
        await until(lambda: load.ok >= 3)
    await server.stop(None)
    assert load.failures == []
    assert seen == {"Bearer secret"}


async def test_as_a_process_it_reports_every_second(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    async with sample_pod("echo-0") as address:
        targets = [f"--target={region}={address}" for region in REGIONS]
        command = [sys.executable, "-m", "infra.load", "--rate=60", "--token-file", str(token), *targets]
        with Program(command, tmp_path) as program:
            await asyncio.to_thread(wait_for, "two lines", lambda: program.stdout.count("\n") >= 2)
            program.send(signal.SIGTERM)
            assert await asyncio.to_thread(program.finish) == 0
        lines = [json.loads(line) for line in program.stdout.splitlines()]
    assert [list(line["regions"]) for line in lines[:2]] == [list(REGIONS)] * 2
    last = lines[1]["regions"]["asia-east1"]
    assert last["ok"] == last["pods"]["echo-0"] > 0
    assert last["failures"] == {}
    assert 0 < last["p50"] <= last["p99"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--target"),
        (("--target", "here"), '"here" is not REGION=HOST:PORT'),
        (("--target", "a=b:1", "--rate", "0"), '"0" is not a number of calls a second'),
        (("--target", "a=b:1", "--token-file", "/nowhere"), "/nowhere"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with Program([sys.executable, "-m", "infra.load", *options], tmp_path) as program:
        assert program.finish() != 0
    assert message in program.stderr


@given(
    rate=st.floats(0.1, 10_000),
    spans=st.lists(st.floats(0, 5), max_size=30),
)
def test_every_call_is_sent_or_left_out_and_no_burst_is_longer_than_a_second(rate: float, spans: list[float]) -> None:
    pace = Pace(rate, 100.0)
    now, counted = 100.0, 0
    for span in spans:
        now += span
        due, left_out = pace.due(now)
        assert 0 <= due <= max(1, rate)
        assert left_out >= 0
        counted += due + left_out
        assert abs(counted - (now - 100.0) * rate) <= 1
        assert pace.next > now - 1e-6


def test_the_clock_may_not_go_back() -> None:
    pace = Pace(10.0, 0.0)
    assert pace.due(1.0) == (10, 0)
    assert pace.due(0.5) == (0, 0)
    assert pace.due(1.1) == (1, 0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_of_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than 0 calls a second"):
        Pace(rate, 0.0)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("DEADLINE_EXCEEDED", "failed to connect", Kind.DEADLINE),
        ("UNAVAILABLE", "upstream connect error: connection failure", Kind.CONNECT),
        ("UNAVAILABLE", "upstream connection closed before the response was complete", Kind.UNAVAILABLE),
        ("UNAVAILABLE", "upstream overflow: too many requests wait for a connection", Kind.REFUSED),
        ("UNAVAILABLE", "", Kind.UNAVAILABLE),
        ("INTERNAL", "goaway received", Kind.OTHER),
    ],
)
def test_a_failure_is_of_the_kind_that_its_status_says(code: str, message: str, kind: Kind) -> None:
    assert kind_of(code, message) is kind


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99), percentile([], 50)) == (
        50.0,
        99.0,
        7.0,
        None,
    )


def test_a_line_of_nothing() -> None:
    assert Tally().document() == {"sent": 0, "ok": 0, "failures": {}, "pods": {}, "p50": None, "p99": None}
