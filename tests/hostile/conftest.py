"""A gateway with a real gRPC backend, a neighbour that calls through it all the time, and an eye on the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.process.load import Load
from tests.support.backends import GrpcBackend
from tests.support.cores import Served, document, resident_bytes, serve
from tests.support.recorder import Recorder
from tests.support.waiting import wait_for

MOST_GROWTH = 96 << 20
"""What the whole process, neighbour and backend included, may grow by under an attack."""


@dataclass(frozen=True, slots=True)
class World:
    served: Served

    @property
    def address(self) -> str:
        return self.served.address

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """A neighbour makes calls before, during and after the block; none of them fails, and memory stays bounded."""
        with Load(self.address, threads=2) as load:
            wait_for("the neighbour's first calls", lambda: load.succeeded >= 10)
            before = resident_bytes()
            yield
            goal = load.succeeded + 10
            wait_for("the neighbour's calls", lambda: load.succeeded >= goal or load.failures)
            growth = resident_bytes() - before
        assert load.failures == []
        assert growth < MOST_GROWTH, f"grew by {growth >> 20} MiB"
        assert self.served.is_alive()


@pytest.fixture(scope="package")
def backend() -> Iterator[GrpcBackend]:
    with GrpcBackend() as backend:
        yield backend


@pytest.fixture(scope="package")
def world(backend: GrpcBackend) -> Iterator[World]:
    """One worker, so that the offender and the neighbour meet, on one connection to the backend."""
    with serve(document(backend.address)) as served:
        yield World(served)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture(scope="module", params=["plain", "routed"])
def served(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Served]:
    """As requests pass unread, and as they are looked at, unless a file of tests has another."""
    more = {} if request.param == "plain" else {"methods": [{"name": "test.Kinds.Unary"}]}
    with serve(document(recorder.address, **more)) as served:
        yield served
