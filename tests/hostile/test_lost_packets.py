"""Peers whose packets vanish: no reset, no end of the connection, nothing. Only time tells that they are gone.

How long it takes is TCP_USER_TIMEOUT (tcp(7)), short here but for one test. Without it the kernel goes on for a quarter
of an hour, which none of these tests would wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.backends import GrpcBackend
from tests.support.cores import Served, document, serve
from tests.support.frames import CANCEL, HEADERS, block, data, headers, request
from tests.support.network import Host, Network, Unavailable
from tests.support.waiting import wait_for
from tests.support.wire import Backend, Wire

pytestmark = [pytest.mark.real("ip")]

METHOD = "/test.Kinds/Unary"
NEVER = block(request(method="POST", path="/never"))
HEAD = block([(":status", "200")])
SHORT = {"tcp_user_timeout_ms": 2000}
DEADLINE_EXCEEDED, UNAVAILABLE = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE
WITHIN_THE_DEFAULT = 40.0
"""Seconds to wait for what should happen after 20."""


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        with Network() as network:
            yield network
    except Unavailable as reason:
        pytest.skip(f"no network namespaces here: {reason}")


@contextmanager
def grpc_backend(host: Host, name: str) -> Iterator[GrpcBackend]:
    with host.inside():
        backend = GrpcBackend(name, address=f"{host.address}:0")
    with backend:
        yield backend


class World:
    """A gateway on the near host. Calls come to it through a Unix socket, which no packet passes."""

    def __init__(self, served: Served, channel: grpc.Channel) -> None:
        self.served = served
        self._unary: Any = channel.unary_unary(METHOD)

    def call(self, timeout: float | None = None) -> Any:
        """Begins a call; it has `code()`, `details()` and `result()`."""
        return self._unary.future(b"x", timeout=timeout)

    def closed(self) -> int:
        return self.served.counter("upstream_connections_closed_total")

    def opened(self) -> int:
        return self.served.counter("upstream_connections_total")


@contextmanager
def world(network: Network, folder: Path, endpoints: list[str], **limits: int) -> Iterator[World]:
    snapshot = document(
        "",
        listeners=[
            {"name": "far", "address": f"{network.near.address}:0"},
            {"name": "local", "address": f"unix://{folder}/gateway"},
        ],
        limits=limits,
        backends=[
            {"name": "app", "endpoints": [{"address": one} for one in endpoints], "connect_timeout_ms": 500},
        ],
    )
    with ExitStack() as stack:
        with network.near.inside():
            served = stack.enter_context(serve(snapshot))
        channel = grpc.insecure_channel(f"unix:{folder}/gateway", [("grpc.enable_retries", 0)])
        yield World(served, stack.enter_context(channel))


def test_a_backend_that_vanishes_is_given_up_and_found_again(network: Network, tmp_path: Path) -> None:
    with (
        grpc_backend(network.far, "far") as backend,
        world(network, tmp_path, [backend.address], **SHORT) as gateway,
    ):
        assert gateway.call().result() == b"x"
        network.cut()
        unhurried, hurried = gateway.call(), gateway.call(timeout=0.5)
        assert hurried.code() is DEADLINE_EXCEEDED
        assert unhurried.code() is UNAVAILABLE
        assert "upstream" in unhurried.details()
        assert (gateway.opened(), gateway.closed()) == (1, 1)
        assert gateway.call().code() is UNAVAILABLE
        network.heal()
        wait_for("a call that succeeds", lambda: gateway.call().code() is grpc.StatusCode.OK)
        assert gateway.opened() == 2
        assert len(backend.calls) == 2


def test_another_endpoint_takes_the_place_of_one_that_vanishes(network: Network, tmp_path: Path) -> None:
    with (
        grpc_backend(network.far, "far") as far,
        grpc_backend(network.near, "near") as near,
        world(network, tmp_path, [far.address, near.address], **SHORT) as gateway,
    ):

        def both_answer() -> bool:
            assert gateway.call().result() == b"x"
            return bool(far.calls and near.calls)

        wait_for("calls to both", both_answer)
        network.cut()
        calls = [gateway.call() for _ in range(20)]
        codes = [call.code() for call in calls]
        assert codes.count(grpc.StatusCode.OK) == codes.count(UNAVAILABLE) == 10
        assert gateway.closed() == 1
        assert [gateway.call().code() for _ in range(50)] == [grpc.StatusCode.OK] * 50
        network.heal()
        before = len(far.calls)

        def far_answers() -> bool:
            assert gateway.call().result() == b"x"
            return len(far.calls) > before

        wait_for("calls to the one that is back", far_answers)


def vanish_while_idle(network: Network, backend: Wire, stream: int) -> None:
    network.cut()


def vanish_before_an_answer(network: Network, backend: Wire, stream: int) -> None:
    network.cut()
    backend.send(headers(stream, HEAD, end=False), data(stream, bytes(1000)))


Vanish = Callable[[Network, Wire, int], None]
CLIENTS: dict[str, tuple[Vanish, dict[str, int]]] = {
    "before an answer": (vanish_before_an_answer, SHORT),
    "while it is asked whether it is there": (
        vanish_while_idle,
        {"keepalive_time_ms": 200, "keepalive_timeout_ms": 500, "header_timeout_ms": 1000},
    ),
}


@contextmanager
def far_client(network: Network, served: Served, backend: Backend) -> Iterator[tuple[Wire, int]]:
    """A far client has a call that waits: the backend's end of it, and the stream there."""
    with Wire(network.far.connect(dict(served.core.listeners())["far"])) as client:
        client.greet()
        client.send(headers(1, NEVER))
        with backend.greet() as wire:
            yield wire, wire.until_kind(HEADERS).stream


@pytest.mark.parametrize(("vanish", "limits"), CLIENTS.values(), ids=CLIENTS)
def test_a_client_that_vanishes_is_let_go(
    network: Network, tmp_path: Path, vanish: Vanish, limits: dict[str, int]
) -> None:
    with network.near.inside():
        backend = Backend()
    with backend, world(network, tmp_path, [backend.address], **limits) as gateway:
        with far_client(network, gateway.served, backend) as (wire, stream):
            assert gateway.served.core.active_connections() == 1
            vanish(network, wire, stream)
            wait_for("the end of the connection", lambda: gateway.served.core.active_connections() == 0)
            assert wire.until_kind(3, stream).number == CANCEL
            wait_for("the end of the stream", lambda: gateway.served.core.active_streams() == 0)
            assert gateway.served.gauge("buffered_bytes") == 0


def test_it_takes_twenty_seconds_where_nothing_else_is_said(network: Network, tmp_path: Path) -> None:
    """A backend and a client at once, of a gateway each."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with network.near.inside():
        silent = Backend()
    with (
        silent,
        grpc_backend(network.far, "far") as app,
        world(network, tmp_path / "first", [app.address]) as first,
        world(network, tmp_path / "second", [silent.address]) as second,
        far_client(network, second.served, silent) as (wire, stream),
    ):
        assert first.call().result() == b"x"
        vanish_before_an_answer(network, wire, stream)
        call = first.call()
        assert call.exception(WITHIN_THE_DEFAULT).code() is UNAVAILABLE
        wait_for("the client's end", lambda: second.served.core.active_connections() == 0, WITHIN_THE_DEFAULT)
        network.heal()
        wait_for("a call that succeeds", lambda: first.call().code() is grpc.StatusCode.OK)
