"""The driver is not foolable: what only looks like an answer is counted as failed, by kind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.bench.load import Load, Outcome, backend, drive, reset, served
from tests.bench.process import free_port
from tests.bench.run import DRIVER_DIRECTORY

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
