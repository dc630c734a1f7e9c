"""The same against a real kube-apiserver: what it grants, what it sends, and what it forgets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway import Gateway
from tests.gateway.core import until
from tests.kubernetes.kube_apiserver import ADMIN, KubeApiServer, Refused
from tests.kubernetes.objects import core_endpoints, endpoint_slice, port, service
from tests.kubernetes.traffic import calling, errors, known, kubeconfig, served_by, serving, slice_of
from tests.support.backends import GrpcBackend

pytest.importorskip("tidegate_core", reason="the native module is not built")

pytestmark = [pytest.mark.real("kube-apiserver", "etcd"), pytest.mark.timeout(400)]

ROLE = Path(__file__).parents[2] / "deploy" / "discovery" / "role.yaml"
LONG = 90.0
"""Seconds in which a gateway has come back, back-off included."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiServer]:
    with KubeApiServer(tmp_path_factory.mktemp("cluster")) as server:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        account, *_ = role_documents()
        server.create(account)
        yield server


def role_documents() -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(ROLE.read_text()))


@pytest.fixture
def grants(server: KubeApiServer) -> Iterator[list[dict[str, Any]]]:
    """The Role and its RoleBinding; taken back at the end."""
    _, *documents = role_documents()
    yield documents
    for document in documents:
        with contextlib.suppress(Refused):  # a test that failed before it came so far
            server.delete(document["kind"], document["metadata"]["name"])


@pytest.fixture
def config(server: KubeApiServer, tmp_path: Path) -> Path:
    """A kubeconfig with the token of the ServiceAccount in a file."""
    (tmp_path / "token").write_text(server.token_of("gateway"))
    return kubeconfig(tmp_path, server.url, {"tokenFile": "token"}, {"certificate-authority": str(server.ca)})


@pytest.fixture
def own_address() -> str:
    """An address of this machine; slices may have none of loopback's. Packets for it stay inside all the same."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback's")
        address: str = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback's")
    return address


def relisted(caplog: pytest.LogCaptureFixture) -> bool:
    return any("are listed again" in record.getMessage() for record in caplog.records)


async def known_as(gateway: Gateway, *addresses: str) -> None:
    await until(f"{addresses}", lambda: known(gateway) == tuple(sorted(addresses)), LONG)


async def test_calls_follow_a_cluster_with_the_permissions_of_the_example(
    server: KubeApiServer,
    config: Path,
    grants: list[dict[str, Any]],
    own_address: str,
    tmp_path: Path,
) -> None:
    """From the first refusal to a restart of the server, which costs no call."""
    place = f"{own_address}:0"
    with GrpcBackend("a", address=place) as a, GrpcBackend("b", address=place) as b:
        server.create(service("app", port("grpc", 8000, targetPort="grpc"), clusterIP="None"))
        server.create(slice_of(a))
        async with serving(tmp_path, f"k8s:///app.shop:8000?kubeconfig={config}") as gateway:
            refused = 'User "system:serviceaccount:shop:gateway" cannot list resource "endpointslices"'
            await until(refused, lambda: refused in errors(gateway), LONG)
            assert "deploy/discovery/role.yaml" in errors(gateway)
            for document in grants:
                server.create(document)
            await known_as(gateway, a.address)
            async with calling(gateway):
                await served_by(a)
                server.create(slice_of(b))
                await known_as(gateway, a.address, b.address)
                await served_by(a, b)
                not_ready = slice_of(b)
                not_ready["endpoints"][0]["conditions"] = {"ready": False}
                server.replace(not_ready)
                await known_as(gateway, a.address)
                server.replace(slice_of(b))
                await known_as(gateway, a.address, b.address)
                await asyncio.to_thread(server.kill)
                await until("the loss", lambda: "cannot be reached" in errors(gateway), LONG)
                await served_by(a, b)
                await asyncio.to_thread(server.start)
                server.delete("EndpointSlice", "app-a")
                await known_as(gateway, b.address)
                await until("the news", lambda: errors(gateway) == "", LONG)
                await served_by(b)
                settled = len(a.calls)
                await served_by(b)
                assert len(a.calls) == settled
    server.delete("Service", "app")
    server.delete("EndpointSlice", "app-b")


async def test_a_version_that_the_server_forgot_is_listed_again(
    server: KubeApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for by somebody who may do all: a server that has just started refuses others for a moment."""
    caplog.set_level(logging.DEBUG, "tidegate.discover")
    config = kubeconfig(tmp_path, server.url, {"token": ADMIN}, {"certificate-authority": str(server.ca)})
    server.create(endpoint_slice("gone", "192.0.2.1", service="other"))
    server.create(endpoint_slice("kept", "192.0.2.2", service="other"))
    async with serving(tmp_path, f"k8s:///other?kubeconfig={config}") as gateway:
        await known_as(gateway, "192.0.2.1:50051", "192.0.2.2:50051")
        await asyncio.to_thread(server.kill)
        await until("the loss", lambda: "cannot be reached" in errors(gateway), LONG)
        assert not relisted(caplog)
        server.lose("endpointslices/shop/gone")
        await asyncio.to_thread(server.start)
        await known_as(gateway, "192.0.2.2:50051")
        await until("the news", lambda: errors(gateway) == "", LONG)
        assert relisted(caplog)
    server.delete("EndpointSlice", "kept")


async def test_core_endpoints_serve_where_slices_may_not_be_read(
    server: KubeApiServer, config: Path, grants: list[dict[str, Any]], tmp_path: Path
) -> None:
    role, binding = grants
    rule = {"apiGroups": [""], "resources": ["endpoints"], "resourceNames": ["app"], "verbs": ["list", "watch"]}
    server.create({**role, "rules": [rule]})
    server.create(binding)
    server.create(core_endpoints("app", ["192.0.2.7"]))
    async with serving(tmp_path, f"k8s:///app?kubeconfig={config}") as gateway:
        await known_as(gateway, "192.0.2.7:50051")
        (hint,) = gateway.facts().backends[0].hints
        assert "core Endpoints are used" in hint
        server.replace(core_endpoints("app", ["192.0.2.7", "192.0.2.8"], ["192.0.2.9"]))
        await known_as(gateway, "192.0.2.7:50051", "192.0.2.8:50051")
    server.delete("Endpoints", "app")
