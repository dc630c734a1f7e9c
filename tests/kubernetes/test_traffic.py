"""A change in the cluster moves the calls of a real gateway, without losing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.core import until
from tests.kubernetes.api_server import ApiServer, Refusal
from tests.kubernetes.objects import endpoint, endpoint_slice, port, service
from tests.kubernetes.traffic import calling, errors, known, kubeconfig, served_by, serving, slice_of
from tests.support.backends import GrpcBackend

pytest.importorskip("tidegate_core", reason="the native module is not built")


async def test_calls_follow_the_slices(tmp_path: Path) -> None:
    with GrpcBackend("a") as a, GrpcBackend("b") as b:
        async with ApiServer() as server:
            server.put(service("app", port("http", 80), port("grpc", 8000)), slice_of(a))
            config = kubeconfig(tmp_path, server.url, {}, {})
            async with serving(tmp_path, f"k8s:///app:8000?kubeconfig={config}") as gateway:
                assert known(gateway) == (a.address,)
                async with calling(gateway):
                    await served_by(a)
                    server.put(slice_of(b))
                    await served_by(a, b)
                    server.delete("EndpointSlice", "app-a")
                    await until("the end of a", lambda: known(gateway) == (b.address,))
                    await served_by(b)
                    settled = len(a.calls)
                    await served_by(b)
                    assert len(a.calls) == settled


async def test_calls_go_on_while_the_cluster_cannot_be_asked(tmp_path: Path) -> None:
    with GrpcBackend("a") as a:
        async with ApiServer() as server:
            server.put(slice_of(a))
            config = kubeconfig(tmp_path, server.url, {}, {})
            async with serving(tmp_path, f"k8s:///app?kubeconfig={config}") as gateway, calling(gateway):
                for resource in ("endpointslices", "endpoints"):
                    server.refusals["watch", resource] = server.refusals["list", resource] = Refusal(403, "no")
                server.end_watches()
                await until("the failure", lambda: "forbids to watch endpointslices" in errors(gateway))
                await served_by(a)
                assert known(gateway) == (a.address,)
                server.refusals.clear()
                await until("its end", lambda: errors(gateway) == "")


async def test_what_is_half_written_is_left_out_and_the_rest_serves(tmp_path: Path) -> None:
    with GrpcBackend("a") as a:
        async with ApiServer() as server:
            config = kubeconfig(tmp_path, server.url, {}, {})
            server.put(slice_of(a), endpoint_slice("half", endpoint("?"), "127.0.0.9", ports=[port("grpc", 0)]))
            async with serving(tmp_path, f"k8s:///app?kubeconfig={config}") as gateway, calling(gateway):
                await served_by(a)
                assert known(gateway) == (a.address,)
                (hint,) = gateway.facts().backends[0].hints
                assert "EndpointSlice half: '?' is no IP address." in hint
                assert "0 is no port number" in hint


async def test_calls_stay_in_the_zone_that_the_hints_say(tmp_path: Path) -> None:
    def hinted(backend: GrpcBackend, zone: str, for_zone: str) -> dict[str, Any]:
        host, _, number = backend.address.rpartition(":")
        member = endpoint(host, zone=zone, hints={"forZones": [{"name": for_zone}]})
        return endpoint_slice(f"app-{backend.name}", member, ports=[port("grpc", int(number))])

    prefer = {"balance": {"localities": "prefer-local"}}
    with GrpcBackend("a") as a, GrpcBackend("b") as b:
        async with ApiServer() as server:
            # The hints outrank the zones in which the pods are.
            server.put(hinted(a, "z1", "z2"), hinted(b, "z2", "z1"))
            target = f"k8s:///app?kubeconfig={kubeconfig(tmp_path, server.url, {}, {})}"
            async with serving(tmp_path, target, prefer, zone="z1") as gateway, calling(gateway):
                await served_by(b)
                assert a.calls == []
                server.put(hinted(a, "z1", "z1"), hinted(b, "z2", "z2"))
                await served_by(a)
                await served_by(a)
                settled = len(b.calls)
                await served_by(a)
                assert len(b.calls) == settled
