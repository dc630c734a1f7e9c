"""A plain proxy in front of a backend that keeps what it gets, and the same with routing by the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.cores import Served, document, serve
from tests.support.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Gateway:
    served: Served
    backend: Recorder

    @property
    def address(self) -> str:
        return self.served.address


@pytest.fixture(scope="package")
def gateway() -> Iterator[Gateway]:
    with Recorder() as backend, serve(document(backend.address)) as served:
        yield Gateway(served, backend)


@pytest.fixture(scope="package")
def routed_gateway() -> Iterator[Gateway]:
    more = {"methods": [{"name": "test.Kinds.Unary"}], "healthz_path": "/healthz"}
    with Recorder() as backend, serve(document(backend.address, **more)) as served:
        yield Gateway(served, backend)


@pytest.fixture(params=["gateway", "routed_gateway"])
def any_gateway(request: pytest.FixtureRequest) -> Gateway:
    """Each rule has to hold where requests pass unread, and where they are looked at."""
    found: Gateway = request.getfixturevalue(request.param)
    return found
