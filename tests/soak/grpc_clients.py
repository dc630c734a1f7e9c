"""Honest gRPC clients, of an impatient kind: they cancel, and some of their deadlines are too short."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import grpc

from tests.soak.tally import Tally
from tests.support.backends import COUNT_KEY, SERVICE

SIZES = (0, 10, 1_000, 20_000, 150_000)
DEADLINES = (0.01, 0.2, 5.0, 5.0, 5.0)
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class Answers(Protocol):
    """A call that streams."""

    def __iter__(self) -> Iterator[bytes]: ...
    def cancel(self) -> object: ...


class GrpcClient:
    """`run` calls until `stop`, over a channel that is changed now and then."""

    def __init__(self, address: tuple[str, int], seed: int, tally: Tally, stop: threading.Event) -> None:
        self._address = "{}:{}".format(*address)
        self._random = random.Random(seed)
        self._tally = tally
        self._stop = stop

    def run(self) -> None:
        kinds: tuple[Callable[[grpc.Channel], None], ...] = (
            self._unary,
            self._server_stream,
            self._client_stream,
            self._bidi,
        )
        while not self._stop.is_set():
            with grpc.insecure_channel(self._address, CHANNEL_OPTIONS) as channel:
                for _ in range(self._random.randint(1, 60)):
                    if self._stop.wait(self._random.uniform(0, 0.01)):
                        break
                    self._random.choice(kinds)(channel)

    def _unary(self, channel: grpc.Channel) -> None:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Unary")
        body = self._body()
        future = call.future(body, timeout=self._random.choice(DEADLINES))
        if self._random.random() < 0.2:
            self._stop.wait(self._random.uniform(0, 0.005))
            future.cancel()
            self._tally.count("grpc unary", "cancelled")
            return
        self._finish("grpc unary", body, lambda: future.result(10))

    def _server_stream(self, channel: grpc.Channel) -> None:
        call: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE}/ServerStream")
        body, count = self._body(), self._random.randint(1, 30)
        answers = call(body, metadata=((COUNT_KEY, str(count)),), timeout=self._random.choice(DEADLINES))
        if self._random.random() < 0.3:
            self._leave("grpc server stream", answers, self._random.randint(0, count))
            return
        self._finish("grpc server stream", [body] * count, lambda: list(answers))

    def _client_stream(self, channel: grpc.Channel) -> None:
        call: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{SERVICE}/ClientStream")
        parts = [self._body() for _ in range(self._random.randint(0, 5))]
        timeout = self._random.choice(DEADLINES)
        self._finish("grpc client stream", b"".join(parts), lambda: call(iter(parts), timeout=timeout))

    def _bidi(self, channel: grpc.Channel) -> None:
        call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/Bidi")
        parts = [self._body() for _ in range(self._random.randint(0, 5))]
        over = threading.Event()

        def unfinished() -> Iterator[bytes]:
            yield from parts
            over.wait(10)

        if self._random.random() < 0.5:
            answers = call(unfinished(), timeout=self._random.choice((0.05, 0.3)))
            self._leave("grpc bidi, unfinished", answers, len(parts) + 1)
            over.set()
            return
        timeout = self._random.choice(DEADLINES)
        self._finish("grpc bidi", parts, lambda: list(call(iter(parts), timeout=timeout)))

    def _leave(self, who: str, answers: Answers, after: int) -> None:
        """Reads some answers and cancels."""
        try:
            for _, _ in zip(range(after), answers, strict=False):
                pass
            self._tally.count(who, "cancelled")
        except grpc.RpcError as error:
            self._tally.count(who, error.code().name)
        finally:
            answers.cancel()

    def _finish(self, who: str, expected: object, result: Callable[[], object]) -> None:
        try:
            self._tally.check(who, expected, result())
        except grpc.RpcError as error:
            self._tally.count(who, error.code().name)

    def _body(self) -> bytes:
        return self._random.randbytes(self._random.choice(SIZES))


def answers(address: tuple[str, int]) -> bool:
    """Whether one call over a new connection succeeds."""
    with closing(grpc.insecure_channel("{}:{}".format(*address), CHANNEL_OPTIONS)) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Unary")
        try:
            return call(b"calm", timeout=10) == b"calm"
        except grpc.RpcError:
            return False
