"""The driver is not foolable: what only looks like an answer is counted as failed, by kind."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.bench.kill import kill, last_words
from tests.bench.load import Load, Outcome, addresses, backend, drive, reset, served
from tests.bench.process import free_port
from tests.bench.run import DRIVER_DIRECTORY
from tests.support.waiting import wait_for

BINARIES = Path(os.environ.get("BENCH_BINARIES", DRIVER_DIRECTORY))
CALLS = 40
Answer = Callable[[bytes, grpc.ServicerContext], bytes]

pytestmark = pytest.mark.skipif(
    not (BINARIES / "bench-driver").exists(), reason="the benchmark's driver is not built (make bench-tools)"
)


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], int]]:
    """Starts grpcio servers whose every method is the given function; their ports."""
    servers: list[grpc.Server] = []

    def start(answer: Answer) -> int:
        class Everything(grpc.GenericRpcHandler):
            def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
                return grpc.unary_unary_rpc_method_handler(answer)

        server = grpc.server(ThreadPoolExecutor(CALLS), handlers=[Everything()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return port

    yield start
    for server in servers:
        server.stop(grace=None).wait()


def outcome(port: int, **load: object) -> Outcome:
    small = {"connections": 2, "streams": 2, "requests": CALLS, "warm_up": 0, "limit": 20.0}
    return drive(BINARIES / "bench-driver", Load(**{**small, **load}), port)  # type: ignore[arg-type]


def test_an_echo_counts(answering: Callable[[Answer], int]) -> None:
    result = outcome(answering(lambda request, context: request))
    assert (result.sent, result.ok, result.failed) == (CALLS, CALLS, {})
    assert result.bytes == 100 * CALLS


def test_a_grpc_error_with_http_200_has_failed(answering: Callable[[Answer], int]) -> None:
    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.UNAVAILABLE, "no")

    result = outcome(answering(refuse))
    assert (result.ok, result.failed) == (0, {"grpc_status_14": CALLS})


def test_a_status_after_the_right_body_has_failed(answering: Callable[[Answer], int]) -> None:
    def spoil(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    result = outcome(answering(spoil))
    assert (result.ok, result.failed) == (0, {"grpc_status_15": CALLS})


@pytest.mark.parametrize("wrong", [b"", b"\x0a\x01x"])
def test_another_body_has_failed(answering: Callable[[Answer], int], wrong: bytes) -> None:
    result = outcome(answering(lambda request, context: wrong))
    assert (result.ok, result.failed) == (0, {"body_mismatch": CALLS})


def test_one_changed_byte_has_failed(answering: Callable[[Answer], int]) -> None:
    result = outcome(answering(lambda request, context: request[:-1] + bytes([request[-1] ^ 1])))
    assert (result.ok, result.failed) == (0, {"body_mismatch": CALLS})


@pytest.mark.parametrize("load", [{}, {"rate": 2000.0}])
def test_nobody_listening_has_failed(load: dict[str, float]) -> None:
    result = outcome(free_port(), **load)
    assert (result.sent, result.ok, result.failed) == (CALLS, 0, {"connect": CALLS})


def test_no_answer_has_failed(answering: Callable[[Answer], int]) -> None:
    over = threading.Event()

    def hang(request: bytes, context: grpc.ServicerContext) -> bytes:
        over.wait()
        return request

    try:
        result = outcome(answering(hang), limit=0.5)
    finally:
        over.set()
    assert result.sent == 4
    assert (result.ok, result.failed) == (0, {"unanswered": 4})


def test_the_paced_loop_does_not_wait_for_answers(answering: Callable[[Answer], int]) -> None:
    """Nothing is answered until every call has arrived: a loop that waited for answers would never send them all."""
    arrived = threading.Barrier(CALLS)

    def gather(request: bytes, context: grpc.ServicerContext) -> bytes:
        arrived.wait(timeout=15)
        return request

    result = outcome(answering(gather), rate=2000.0)
    assert (result.sent, result.ok) == (CALLS, CALLS)


@pytest.mark.parametrize(("call", "method"), [("echo", "echo"), ("feed", "feed")])
def test_the_backend_counts_what_it_serves(call: str, method: str) -> None:
    port, admin = free_port(), free_port()
    with backend(BINARIES / "bench-backend", port, admin):
        assert outcome(port, call=call).ok == CALLS
        assert served(admin) == {"echo": 0, "feed": 0, "health": 0, "other": 0} | {method: CALLS}
        reset(admin)
        assert served(admin)[method] == 0


def test_the_backend_counts_per_address_too() -> None:
    """On every address of the loopback network, with one socket."""
    port, admin = free_port(), free_port()
    hosts = ("127.0.0.1", "127.3.0.7")
    with backend(BINARIES / "bench-backend", port, admin, host="0.0.0.0"):
        for host in hosts:
            with grpc.insecure_channel(f"{host}:{port}") as channel:
                call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/api.Echo/Echo")
                call(b"", timeout=20)
        assert addresses(admin) == {f"{host}:{port}": 1 for host in hosts}
        reset(admin)
        assert addresses(admin) == {}


def test_a_killed_backend_says_what_was_open() -> None:
    port, admin = free_port(), free_port()
    with (
        backend(BINARIES / "bench-backend", port, admin, delay=60.0) as process,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/api.Echo/Echo")
        calls = [method.future(b"", timeout=50) for _ in range(3)]
        wait_for("the calls", lambda: served(admin)["echo"] == len(calls))
        kill(admin)
        assert process.wait(timeout=20) == -signal.SIGKILL
        open_calls, killed = last_words(process)
        assert open_calls == len(calls)
        assert killed <= time.monotonic()
        assert [call.code() for call in calls] == [grpc.StatusCode.UNAVAILABLE] * len(calls)


def test_failures_have_times_and_windows_tell_calls_apart(answering: Callable[[Answer], int]) -> None:
    """Calls are due over 0.4 s; those that come late in it are refused."""
    seen = itertools.count()

    def refuse_later(request: bytes, context: grpc.ServicerContext) -> bytes:
        if next(seen) >= CALLS // 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "no")
        return request

    began = time.monotonic()
    result = outcome(answering(refuse_later), rate=100.0, window=0.1)
    assert len(result.failures) == CALLS // 2
    assert all(began <= one.sent <= one.ended <= time.monotonic() for one in result.failures)
    assert {one.kind for one in result.failures} == {"grpc_status_14"}
    assert [window.ok + window.failed for window in result.windows] == [10, 10, 10, 10]
    assert sum(window.failed for window in result.windows) == CALLS // 2
    assert result.windows[-1].failed > result.windows[0].failed


def test_every_header_set_is_its_own(answering: Callable[[Answer], int], tmp_path: Path) -> None:
    tokens = [f"token-{number}" for number in range(CALLS)]
    (tmp_path / "tokens").write_text("\n".join(tokens))
    seen: list[dict[str, str | bytes]] = []

    def record(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(dict(context.invocation_metadata()))
        return request

    assert outcome(answering(record), tokens=tmp_path / "tokens", token_change="request").ok == CALLS
    assert {headers["authorization"] for headers in seen} == {f"Bearer {token}" for token in tokens}
    assert len({headers["traceparent"] for headers in seen}) == CALLS
    assert len({headers["user-agent"] for headers in seen}) == 2
