"""The ways: each sets up what stands between clients and pods, says where clients connect, and scales."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.grow import NAME, Names, name_server
from tests.bench.peers.tidegate import Tidegate, gateway_file
from tests.bench.process import free_port, listening
from tests.bench.stage import Stage
from tests.bench.ways.relay import relay
from tests.kubernetes.kube_apiserver import ADMIN, KubeApiServer
from tests.kubernetes.objects import endpoint_slice, port, service, write_kubeconfig
from tests.project.real_parts import find
from tests.registries.parts import EtcdServer

TTL = 5
"""Seconds; what Kubernetes' DNS gives its records (CoreDNS, plugin `kubernetes`)."""
CLIENTS = 4
AGE = "10s"
NAMESPACE = "shop"


@dataclass(frozen=True, slots=True)
class Pods:
    """Three pods: `same_port` on addresses of the loopback network, `same_host` on one that is not loopback's."""

    same_port: tuple[str, ...]
    same_host: tuple[str, ...]

    @property
    def hosts(self) -> list[str]:
        return [pod.rpartition(":")[0] for pod in self.same_port]

    @property
    def port(self) -> str:
        return self.same_port[0].rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Running:
    """`targets` are the clients', `pods` those that are counted, `scale` makes the first so many the Service's."""

    targets: Sequence[str]
    pods: tuple[str, ...]
    scale: Callable[[int], None]
    round_robin: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """`open` gets what it needs and has one pod at first. `missing` says why it cannot be measured here, if so."""

    name: str
    title: str
    open: Callable[[Stage, Pods, ExitStack], Running]
    missing: Callable[[Pods], str | None] = lambda _pods: None
    latency: bool = True


def direct(_where: Stage, pods: Pods, _stack: ExitStack) -> Running:
    """Clients know the first pod's address and nothing else."""
    return Running([pods.same_port[0]] * CLIENTS, pods.same_port, lambda _count: None)


def service_address(_where: Stage, pods: Pods, stack: ExitStack) -> Running:
    between = stack.enter_context(relay(list(pods.same_port[:1])))

    def scale(count: int) -> None:
        between.pods = list(pods.same_port[:count])

    return Running([between.address] * CLIENTS, pods.same_port, scale)


def client_round_robin(_where: Stage, pods: Pods, stack: ExitStack) -> Running:
    names = _names(stack, pods)
    target = f"dns://{names.address}/{NAME}:{pods.port}"
    return Running([target] * CLIENTS, pods.same_port, lambda count: names.put(pods.hosts[:count]), round_robin=True)


def connection_age(where: Stage, pods: Pods, stack: ExitStack) -> Running:
    """Every pod has a gateway of its own beside it, which ends connections after AGE."""
    names = _names(stack, pods)
    listen = free_port()
    for host in pods.hosts:
        app = {"name": "app", "targets": [f"{host}:{pods.port}"]}
        _gateway(where, stack, f"age-{host}", listen, app, host=host, limits={"maxConnectionAge": AGE})
    target = f"dns://{names.address}/{NAME}:{listen}"
    return Running([target] * CLIENTS, pods.same_port, lambda count: names.put(pods.hosts[:count]), round_robin=True)


def front_gateway(where: Stage, pods: Pods, stack: ExitStack) -> Running:
    names = _names(stack, pods)
    listen = _gateway(where, stack, "front", free_port(), _found_by_dns(names, pods))
    return Running([f"127.0.0.1:{listen}"] * CLIENTS, pods.same_port, lambda count: names.put(pods.hosts[:count]))


def sidecar(where: Stage, pods: Pods, stack: ExitStack) -> Running:
    """Every client has a gateway of its own on its side."""
    names = _names(stack, pods)
    targets = [
        f"127.0.0.1:{_gateway(where, stack, f'sidecar-{number}', free_port(), _found_by_dns(names, pods))}"
        for number in range(CLIENTS)
    ]
    return Running(targets, pods.same_port, lambda count: names.put(pods.hosts[:count]))


def registry(where: Stage, pods: Pods, stack: ExitStack) -> Running:
    """Pods register themselves in etcd."""
    etcd = stack.enter_context(EtcdServer(where.folder("etcd"), ("--unsafe-no-fsync",)))

    def scale(count: int) -> None:
        for number, pod in enumerate(pods.same_port):
            key = f"services/app/{number}"
            if number < count:
                etcd.put(key, json.dumps({"Op": 0, "Addr": pod}))
            else:
                etcd.delete(key)

    scale(1)
    app = {"name": "app", "targets": [f"etcd:///services/app?endpoints={etcd.address}"]}
    listen = _gateway(where, stack, "registry", free_port(), app)
    return Running([f"127.0.0.1:{listen}"] * CLIENTS, pods.same_port, scale)


def endpoint_slices(where: Stage, pods: Pods, stack: ExitStack) -> Running:
    """One slice for each pod, since they are told apart by their ports here."""
    server = stack.enter_context(KubeApiServer(where.folder("kubernetes")))
    server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    server.create(service("app", port("grpc", 50051), clusterIP="None"), NAMESPACE)
    there: set[int] = set()

    def scale(count: int) -> None:
        for number, pod in enumerate(pods.same_host):
            host, _, place = pod.rpartition(":")
            if number < count and number not in there:
                document = endpoint_slice(f"app-{number}", host, ports=[port("grpc", int(place))])
                server.create(document, NAMESPACE)
                there.add(number)
            elif number >= count and number in there:
                server.delete("EndpointSlice", f"app-{number}", NAMESPACE)
                there.remove(number)

    scale(1)
    folder = where.folder("kubernetes")
    cluster = {"server": server.url, "certificate-authority": str(server.ca)}
    config = write_kubeconfig(folder / "kubeconfig", {"token": ADMIN}, cluster, namespace=NAMESPACE)
    app = {"name": "app", "targets": [f"k8s:///app.{NAMESPACE}?kubeconfig={config}"]}
    listen = _gateway(where, stack, "endpoint-slices", free_port(), app)
    return Running([f"127.0.0.1:{listen}"] * CLIENTS, pods.same_host, scale)


def no_etcd(_pods: Pods) -> str | None:
    return None if find("etcd") else "etcd is not installed (Debian etcd-server)"


def no_kubernetes(pods: Pods) -> str | None:
    if not find("kube-apiserver"):
        return "kube-apiserver is not built (make test-real builds it)"
    return no_etcd(pods) or (None if pods.same_host else "this machine has no address but loopback's")


WAYS = (
    Way("direct", "one pod's address, nothing between", direct),
    Way("service", "the Service's address (kube-proxy: by connection)", service_address, latency=False),
    Way("round-robin", "headless Service, `round_robin` in the client", client_round_robin),
    Way("age", f"the same, gateways beside the pods end connections after {AGE}", connection_age),
    Way("front", "front gateway, `dns:///`", front_gateway),
    Way("sidecar", "egress sidecar gateway, `dns:///`", sidecar),
    Way("registry", "front gateway, `etcd:///`", registry, no_etcd),
    Way("slices", "front gateway, `k8s:///` (EndpointSlices)", endpoint_slices, no_kubernetes),
)


def beyond_loopback(count: int) -> tuple[str, ...]:
    """So many free places (host:port) at an address of this machine that is not loopback's, which slices may not have;
    none where there is no such address, or no kube-apiserver that would look at it. Nothing is sent."""
    if find("kube-apiserver") is None:
        return ()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ()
        host: str = probe.getsockname()[0]
    return () if host.startswith("127.") else tuple(f"{host}:{free_port(host)}" for _ in range(count))


def _names(stack: ExitStack, pods: Pods) -> Names:
    names = stack.enter_context(name_server(NAME, TTL))
    names.put(pods.hosts[:1])
    return names


def _found_by_dns(names: Names, pods: Pods) -> dict[str, Any]:
    return {"name": "app", "targets": [f"dns://{names.address}/{NAME}.:{pods.port}"]}


def _gateway(
    where: Stage,
    stack: ExitStack,
    name: str,
    listen: int,
    app: dict[str, Any],
    host: str = "127.0.0.1",
    **spec: Any,
) -> int:
    """Starts one; its port, which is `listen`."""
    folder = where.folder(name)
    document = gateway_file(listen, app, host=host, **spec)
    command = Tidegate(where.tidegate).with_file(folder, document)
    stack.enter_context(listening(command, listen, folder / "log", host=host))
    return listen


@contextmanager
def opened(way: Way, where: Stage, pods: Pods) -> Iterator[Running]:
    with ExitStack() as stack:
        yield way.open(where, pods, stack)
