"""Two hosts with a router between them that can stop forwarding: packets then vanish, and nobody is told.

Each of the three is a network namespace with no way out of it; that takes root and iproute2. Sources: ip-netns(8),
setns(2), and the kernel's ip-sysctl.rst (`ip_forward`).
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")
_numbers = count()


class Unavailable(Exception):
    """Namespaces cannot be made here; the message says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace and its address, which is of the documentation's (RFC 5737) and exists nowhere else."""

    namespace: str
    address: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread's new sockets, and those of the threads that it starts, belong to the host."""
        with Path("/proc/thread-self/ns/net").open() as here, (NAMESPACES / self.namespace).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def connect(self, address: str, timeout: float = 30.0) -> socket.socket:
        """A connection from this host to `address` (IPv4:PORT), which any thread may use."""
        with self.inside():
            name, _, port = address.rpartition(":")
            return socket.create_connection((name, int(port)), timeout=timeout)


class Network:
    """`with Network() as network`: `near` and `far` reach each other until `cut`, and again after `heal`.

    Raises Unavailable.
    """

    def __init__(self) -> None:
        unique = f"tidegate-{os.getpid()}-{next(_numbers)}"
        self.near = Host(f"{unique}-near", "192.0.2.2")
        self.far = Host(f"{unique}-far", "192.0.2.130")
        self._router = f"{unique}-router"
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            for namespace in (self._router, self.near.namespace, self.far.namespace):
                _ip("netns", "add", namespace)
                self._made.append(namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            self._link(self.near, "near0", "192.0.2.1")
            self._link(self.far, "far0", "192.0.2.129")
            self.heal()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        for namespace in self._made:
            subprocess.run(["ip", "netns", "del", namespace], check=False)

    def cut(self) -> None:
        """From now on every packet between the hosts is dropped, without an answer to whoever sent it."""
        self._forward(False)

    def heal(self) -> None:
        self._forward(True)

    def _forward(self, enabled: bool) -> None:
        with Host(self._router, "").inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text(f"{enabled:d}\n")

    def _link(self, host: Host, device: str, gateway: str) -> None:
        _ip("-n", self._router, "link", "add", device, "type", "veth", "peer", "eth0", "netns", host.namespace)
        _ip("-n", self._router, "addr", "add", f"{gateway}/25", "dev", device)
        _ip("-n", self._router, "link", "set", device, "up")
        _ip("-n", host.namespace, "addr", "add", f"{host.address}/25", "dev", "eth0")
        _ip("-n", host.namespace, "link", "set", "eth0", "up")
        _ip("-n", host.namespace, "route", "add", "default", "via", gateway)


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, CLONE_NEWNET) != 0:
        raise Unavailable(os.strerror(ctypes.get_errno()))


def _ip(*arguments: str) -> None:
    command: Sequence[str] = ("ip", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")
