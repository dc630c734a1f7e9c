"""A gateway that finds its backends in a cluster, real backends, and calls without a pause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway import Gateway
from gateway.configuration import load_file
from tests.gateway.core import until
from tests.kubernetes.objects import endpoint_slice, port, write_kubeconfig
from tests.process.load import Load
from tests.support.backends import GrpcBackend

ENOUGH = 50
"""Calls that a test waits for."""


def kubeconfig(folder: Path, server: str, user: dict[str, Any], cluster: dict[str, Any]) -> Path:
    return write_kubeconfig(folder / "kubeconfig", user, {"server": server, **cluster}, namespace="shop")


@asynccontextmanager
async def serving(
    folder: Path, target: str, backend: Mapping[str, Any] | None = None, **more: Any
) -> AsyncIterator[Gateway]:
    """`backend` and `more` are put over the fields of the backend and of the whole."""
    spec = {
        "listeners": [{"name": "main", "address": "127.0.0.1:0"}],
        "backends": [{"name": "app", "targets": [target], **(backend or {})}],
        "accessLog": {"path": "off"},
        "admin": {"port": 0},
        "workers": 2,
        **more,
    }
    path = folder / "gateway.yaml"
    path.write_text(json.dumps({"apiVersion": "tidegate.dev/v1", "kind": "Gateway", "spec": spec}))
    async with Gateway(load_file(path).config) as gateway:
        yield gateway


def slice_of(backend: GrpcBackend) -> dict[str, Any]:
    """An EndpointSlice with the backend alone, whatever port it got."""
    host, _, number = backend.address.rpartition(":")
    return endpoint_slice(f"app-{backend.name}", host, ports=[port("grpc", int(number))])


def known(gateway: Gateway) -> tuple[str, ...]:
    return gateway.facts().backends[0].endpoints


def errors(gateway: Gateway) -> str:
    return " ".join(gateway.facts().backends[0].errors)


@asynccontextmanager
async def calling(gateway: Gateway) -> AsyncIterator[Load]:
    """Every call of the block has to succeed."""
    load = Load(gateway.addresses["main"], threads=2)
    await asyncio.to_thread(load.__enter__)
    try:
        yield load
    finally:
        await asyncio.to_thread(load.__exit__)
    assert load.failures == []


async def served_by(*backends: GrpcBackend) -> None:
    """Waits until each has had calls from now on."""
    before = [len(backend.calls) for backend in backends]
    await until(
        f"calls at {[backend.name for backend in backends]}",
        lambda: all(len(one.calls) >= count + ENOUGH for one, count in zip(backends, before, strict=True)),
    )
