"""Two headless gRPC services with several pods each behind one TLS endpoint, all on this machine.

`make example-two-services`, or `python docs/examples/two-services/run.py`. It starts the pods as processes on addresses
of their own, a name server that knows them, and a gateway with gateway.yaml as it stands here. Then it counts which pod
answers how many calls, gives `echo` two pods more, takes one away, and counts again.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from name_server import NameServer

from infra.sample import ECHO, REVERSE
from infra.sample.messages import method_of
from infra.world.children import Child, ChildError, python_module
from infra.world.group import ProcessGroup, Running

CONFIGURATION = Path(__file__).with_name("gateway.yaml")
DOMAIN = "shop.svc.cluster.local"
SERVICES = {"echo": ECHO, "reverse": REVERSE}
NETWORKS = {"echo": "127.0.1", "reverse": "127.0.2"}
CALLS = 60
"""In one count: a multiple of all numbers of pods that there are."""
PATIENCE = 30.0
"""Seconds in which a gateway follows the name server, which it asks every second."""


@dataclass(slots=True)
class World:
    """The pods of each service, and all calls that were made."""

    group: ProcessGroup
    names: NameServer
    pods: dict[str, list[Running]] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    failed: list[str] = field(default_factory=list)

    async def scale(self, service: str, count: int) -> list[Running]:
        """Starts pods until there are so many, or takes the first ones out of the name server; those taken out."""
        pods = self.pods.setdefault(service, [])
        while len(pods) < count:
            name = f"{service}-{self.started[service]}"
            address = f"{NETWORKS[service]}.{self.started[service] + 1}:0"
            self.started[service] += 1
            options = ("--service", SERVICES[service], "--name", name, "--address", address)
            pods.append(await self.group.start(Child(name, python_module("infra.sample", *options), announces=True)))
        out, self.pods[service] = pods[: len(pods) - count], pods[len(pods) - count :]
        self.names.put(f"{service}.{DOMAIN}", [pod.address for pod in self.pods[service]])
        return out

    def expected(self, service: str) -> set[str]:
        return {pod.child.name for pod in self.pods[service]}

    async def count(self, channel: grpc.aio.Channel, service: str, calls: int = CALLS) -> Counter[str]:
        """Makes so many calls, one after the other on one connection; how many each pod answered."""
        path, request, response = method_of(SERVICES[service])
        method: Any = channel.unary_unary(
            path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        answered: Counter[str] = Counter()
        for _ in range(calls):
            self.calls += 1
            call = method(request(content="hello"), timeout=10)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                self.failed.append(f"{service}: {error.code().name}: {error.details()}")
                continue
            answered[str(dict(await call.initial_metadata())["hostname"])] += 1
        return answered

    async def follow(self, channel: grpc.aio.Channel, service: str) -> float:
        """Goes on calling until exactly the pods that there are answer; the seconds that took."""
        began = time.monotonic()
        while set(await self.count(channel, service)) != self.expected(service):
            if time.monotonic() - began > PATIENCE:
                raise ChildError(f"calls do not reach exactly {', '.join(sorted(self.expected(service)))}")
            await asyncio.sleep(0.05)
        return time.monotonic() - began


async def main() -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="two-services-")))
        names = await stack.enter_async_context(NameServer())
        world = World(await stack.enter_async_context(ProcessGroup(folder / "logs", start_seconds=30)), names)
        await asyncio.gather(world.scale("echo", 3), world.scale("reverse", 2))
        certificate = make_certificate(folder / "tls")
        port, status_port = free_ports(2)
        print(f"gateway: {CONFIGURATION.name} on https://localhost:{port}, names from {names.address}")
        overrides = (
            "--listener_address=127.0.0.1",
            f"--ssl_port={port}",
            f"--ssl_server_cert_path={folder / 'tls'}",
            f"--status_port={status_port}",
            f"--dns_resolver_addresses={names.address}",
        )
        command = python_module("infra.cli.main", "gateway", f"--config={CONFIGURATION}", *overrides)
        gateway = await world.group.start(Child("gateway", command))
        credentials = grpc.ssl_channel_credentials(certificate)
        channel = await stack.enter_async_context(grpc.aio.secure_channel(f"localhost:{port}", credentials))
        await ready(channel, gateway)

        for service in SERVICES:
            show(service, await world.count(channel, service))
        await world.scale("echo", 5)
        print(f"echo has 5 pods; calls followed after {await world.follow(channel, 'echo'):.1f} s")
        show("echo", await world.count(channel, "echo"))
        (gone,) = await world.scale("echo", 4)
        print(f"echo loses {gone.child.name}; calls followed after {await world.follow(channel, 'echo'):.1f} s")
        await world.group.stop(gone)
        show("echo", await world.count(channel, "echo"))
        print(f"{world.calls} calls, {len(world.failed)} failed")
        for failure in world.failed[:5]:
            print(f"  {failure}", file=sys.stderr)
        return 1 if world.failed else 0


def show(service: str, answered: Counter[str]) -> None:
    shares = ", ".join(f"{pod} {calls}" for pod, calls in sorted(answered.items()))
    print(f"  {service:<8} {sum(answered.values())} calls: {shares}", flush=True)


async def ready(channel: grpc.aio.Channel, gateway: Running) -> None:
    """Waits for the first connection. ChildError: the gateway ended, with the end of its log."""
    waiting = asyncio.create_task(channel.channel_ready())
    done, _ = await asyncio.wait({waiting, gateway.ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if waiting not in done:
        waiting.cancel()
        raise ChildError(f"the gateway does not serve; it wrote:\n{gateway.log.read_text(errors='replace')[-2000:]}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def make_certificate(folder: Path) -> bytes:
    """Writes `tls.crt` and `tls.key` for localhost; the certificate, which signs itself, as PEM."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.crt").write_bytes(pem)
    (folder / "tls.key").touch(mode=0o600)
    (folder / "tls.key").write_bytes(private)
    return pem


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except ChildError as error:
        sys.exit(f"two-services: {error}")
